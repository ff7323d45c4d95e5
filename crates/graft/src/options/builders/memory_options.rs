//! The keys of `%memory` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{flag, integer, text};

/// Options of [`Lab::memory`](crate::Lab::memory): the keys of `%memory`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = MemoryOptions::new().optim("adamw").batch(8);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct MemoryOptions {
    settings: Settings,
}

impl MemoryOptions {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Optimizer, as with `%train`: they differ in the states that they store.
    ///
    /// Default: `adamw`. One of `adamw`, `adafactor`, `lion`, `sgd`, `adamw_8bit`.
    pub fn optim(self, value: &str) -> Self {
        Self { settings: self.settings.with("optim", text(value)) }
    }

    /// Examples per micro-batch.
    ///
    /// Default: `8`. From 1 to 65,536.
    pub fn batch(self, value: usize) -> Self {
        Self { settings: self.settings.with("batch", integer(value)) }
    }

    /// Length of an example in tokens; without it the context length of the model, and 1,024 for a
    /// published model.
    ///
    /// From 2 to 1,000,000.
    pub fn max_length(self, value: usize) -> Self {
        Self { settings: self.settings.with("max_length", integer(value)) }
    }

    /// As with `%train` `gradient_checkpointing=true`: activations are recomputed in the backward
    /// pass.
    ///
    /// Default: `false`.
    pub fn gradient_checkpointing(self, value: bool) -> Self {
        Self { settings: self.settings.with("gradient_checkpointing", flag(value)) }
    }

    /// Rank of the LoRA on a published model.
    ///
    /// Default: `16`. From 1 to 65,536.
    pub fn r(self, value: usize) -> Self {
        Self { settings: self.settings.with("r", integer(value)) }
    }

    /// Number type of the frozen weights of a published model.
    ///
    /// Default: `bf16`. One of `f32`, `bf16`, `f16`, `nf4`, `int8`.
    pub fn dtype(self, value: &str) -> Self {
        Self { settings: self.settings.with("dtype", text(value)) }
    }
}

impl From<MemoryOptions> for Settings {
    fn from(builder: MemoryOptions) -> Self {
        builder.settings
    }
}
