//! The keys of `%loha` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, integer, list, number, text};

/// The elementwise product of two low-rank updates. The method of `%loha attach`.
///
/// ```text
/// y = W x + s (B₁A₁ ∘ B₂A₂) x
/// ```
///
/// Each targeted linear layer computes y = W x + s·(B₁A₁ ∘ B₂A₂) x with s = alpha / r. The
/// elementwise product of two matrices of rank r has rank up to r², with twice the parameters of a
/// LoRA. The second product starts at zero, so attaching does not change the output.
///
/// # Shapes
/// `B₁, B₂: (d_out, r)`, `A₁, A₂: (r, d_in)`, `W: (d_out, d_in)` frozen
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(LoHa::new().r(8))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Hyeon-Woo et al. 2021, [arXiv:2108.06098](https://arxiv.org/abs/2108.06098) (FedPara); Yeh et
/// al. 2023, [arXiv:2309.14859](https://arxiv.org/abs/2309.14859) (LyCORIS).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct LoHa {
    settings: Settings,
}

impl LoHa {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rank of the update, at least 1 and at most the smaller dimension of the layer.
    ///
    /// Default: `8`. From 1 to 65,536.
    pub fn r(self, value: usize) -> Self {
        Self { settings: self.settings.with("r", integer(value)) }
    }

    /// Scale of the update: s = alpha / r.
    ///
    /// Default: `8`. At least 0.
    pub fn alpha(self, value: f64) -> Self {
        Self { settings: self.settings.with("alpha", number(value)) }
    }

    /// Dropout probability on the output of the update during training.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn rank_dropout(self, value: f64) -> Self {
        Self { settings: self.settings.with("rank_dropout", number(value)) }
    }

    /// Probability of skipping the whole update of a layer in each training step.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn module_dropout(self, value: f64) -> Self {
        Self { settings: self.settings.with("module_dropout", number(value)) }
    }

    /// Modules to adapt: names (suffixes), a regular expression, or all-linear; without it the
    /// default of the model family, such as `q_proj,v_proj`.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Modules to leave out of the targets: names or a regular expression.
    pub fn exclude_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("exclude_modules", list(value)) }
    }

    /// Numbers of the blocks to adapt, such as 0,2,4 or 4-7; without it all blocks.
    pub fn layers_to_transform<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("layers_to_transform", list(value)) }
    }

    /// Other ranks for some modules, such as `q_proj:16,v_proj:4`; each key is a regular expression
    /// for the end of the path.
    pub fn rank_pattern<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("rank_pattern", list(value)) }
    }

    /// Another alpha for some modules, such as `q_proj:32`; each key is a regular expression for
    /// the end of the path.
    pub fn alpha_pattern<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("alpha_pattern", list(value)) }
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

impl Method for LoHa {
    fn verb(&self) -> &'static str {
        "loha"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
