//! The keys of `%shira` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, integer, list, text};

/// A sparse update: train a few weights of each matrix, chosen at random. The method of
/// `%shira attach`.
///
/// ```text
/// y = (W + S) x
/// ```
///
/// Each targeted linear layer computes y = (W + S)·x where S has r × (`d_in` + `d_out`) entries at
/// random positions and zeros elsewhere: as many parameters as a LoRA of rank r, but of high rank.
/// `random_seed` and the size of the layer determine the positions, as in HF PEFT. S starts at
/// zero, so attaching does not change the output.
///
/// # Shapes
/// `S: (d_out, d_in)` with `r (d_in + d_out)` trained entries
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Shira::new().r(32))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Bhardwaj et al. 2024, [arXiv:2406.13175](https://arxiv.org/abs/2406.13175).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Shira {
    settings: Settings,
}

impl Shira {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of trained entries per layer, r × (`d_in` + `d_out`), at most all of them.
    ///
    /// Default: `32`. From 1 to 65,536.
    pub fn r(self, value: usize) -> Self {
        Self { settings: self.settings.with("r", integer(value)) }
    }

    /// Seed of the positions, the same as in HF PEFT; without it the default seed of PyTorch.
    ///
    /// At least 0.
    pub fn random_seed(self, value: u64) -> Self {
        Self { settings: self.settings.with("random_seed", integer(value)) }
    }

    /// Modules to adapt: names (suffixes), a regular expression, or all-linear; without it the
    /// default of the model family, such as `q_proj,v_proj`.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
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

impl Method for Shira {
    fn verb(&self) -> &'static str {
        "shira"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
