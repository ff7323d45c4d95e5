//! The keys of `%vera` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, flag, integer, list, number, text};

/// Two vectors per layer around random matrices that all layers share. The method of
/// `%vera attach`.
///
/// ```text
/// y = W x + λ_b ∘ B (λ_d ∘ A x)
/// ```
///
/// Each targeted linear layer computes y = W x + λ_b ∘ B (λ_d ∘ A x). A (r × `d_in`) and B (`d_out`
/// × r) are random, frozen and shared by all layers, each of which uses a slice of its own size.
/// Only λ_d (r) and λ_b (`d_out`) are trained, so a large r is cheap. λ_b starts at zero, so
/// attaching does not change the output.
///
/// # Shapes
/// `x: (.., d_in)`, `A: (r, D_in)` and `B: (D_out, r)` with the widest input and output of the
/// targets; a layer uses the first `d_in` columns of A and the first `d_out` rows of B; `λ_d: (r)`,
/// `λ_b: (d_out)`
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Vera::new().r(256))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Kopiczko et al. 2023, [arXiv:2310.11454](https://arxiv.org/abs/2310.11454).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Vera {
    settings: Settings,
}

impl Vera {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rank of the shared matrices; it may exceed the dimensions of a layer.
    ///
    /// Default: `256`. From 1 to 65,536.
    pub fn r(self, value: usize) -> Self {
        Self { settings: self.settings.with("r", integer(value)) }
    }

    /// Initial value of every element of λ_d.
    ///
    /// Default: `0.1`. At least -1,000,000,000.
    pub fn d_initial(self, value: f64) -> Self {
        Self { settings: self.settings.with("d_initial", number(value)) }
    }

    /// Dropout probability on the input of A during training.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn vera_dropout(self, value: f64) -> Self {
        Self { settings: self.settings.with("vera_dropout", number(value)) }
    }

    /// Seed of A and B; the same seed gives the same matrices as HF PEFT.
    ///
    /// Default: `0`. At least 0.
    pub fn projection_prng_key(self, value: usize) -> Self {
        Self { settings: self.settings.with("projection_prng_key", integer(value)) }
    }

    /// Save A and B in the file; without them the file is smaller, and loading draws them from
    /// `projection_prng_key`.
    ///
    /// Default: `true`.
    pub fn save_projection(self, value: bool) -> Self {
        Self { settings: self.settings.with("save_projection", flag(value)) }
    }

    /// Modules to adapt: names (suffixes), a regular expression, or all-linear; without it the
    /// default of the model family, such as `q_proj,v_proj`.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Numbers of the blocks to adapt, such as 0,2,4 or 4-7; without it all blocks.
    pub fn layers_to_transform<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("layers_to_transform", list(value)) }
    }

    /// Modules that are trained fully and saved with the adapter, such as `lm_head`; copies are
    /// trained, so the base does not change.
    pub fn modules_to_save<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("modules_to_save", list(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl Method for Vera {
    fn verb(&self) -> &'static str {
        "vera"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
