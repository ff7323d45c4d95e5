//! The keys of `%prompt_tune` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, integer, text};

/// A soft prompt: train the embeddings of virtual tokens in front of the input. The method of
/// `%prompt_tune attach`.
///
/// ```text
/// x' = [E; embed(ids)]
/// ```
///
/// `num_virtual_tokens` vectors of the model's hidden size are put in front of the embedded input.
/// Nothing else is trained. `prompt_tuning_init`: RANDOM (N(0,1)), `SAMPLE_VOCAB` (rows of the
/// embedding), TEXT (the embedded `prompt_tuning_init_text`, repeated or cut).
///
/// # Shapes
/// `E: (P, C)` with P virtual tokens; the model then reads P + T positions and returns logits for
/// all of them, as in HF PEFT
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(PromptTuning::new().num_virtual_tokens(20))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Lester et al. 2021, [arXiv:2104.08691](https://arxiv.org/abs/2104.08691).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct PromptTuning {
    settings: Settings,
}

impl PromptTuning {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of virtual tokens; they count towards the context length.
    ///
    /// Default: `20`. From 1 to 65,536.
    pub fn num_virtual_tokens(self, value: usize) -> Self {
        Self { settings: self.settings.with("num_virtual_tokens", integer(value)) }
    }

    /// Initial values of the vectors; `prompt_tuning_init_text` implies `TEXT`.
    ///
    /// Default: `SAMPLE_VOCAB`. One of `RANDOM`, `SAMPLE_VOCAB`, `TEXT`.
    pub fn prompt_tuning_init(self, value: &str) -> Self {
        Self { settings: self.settings.with("prompt_tuning_init", text(value)) }
    }

    /// Text whose embeddings are the initial values of the vectors.
    pub fn prompt_tuning_init_text(self, value: &str) -> Self {
        Self { settings: self.settings.with("prompt_tuning_init_text", text(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl Method for PromptTuning {
    fn verb(&self) -> &'static str {
        "prompt_tune"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
