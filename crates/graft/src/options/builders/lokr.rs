//! The keys of `%lokr` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, flag, integer, list, number, text};

/// The Kronecker product of a small matrix and a low-rank matrix. The method of `%lokr attach`.
///
/// ```text
/// y = W x + s (W₁ ⊗ W₂) x
/// ```
///
/// Each targeted linear layer computes y = W x + s·(W₁ ⊗ W₂) x with s = alpha / r. Each side of W
/// is split into two factors. W₁ is small; W₂ is a product of rank r if that is smaller than the
/// full matrix. W₁ starts at zero, so attaching does not change the output. The Kronecker product
/// is applied without being formed.
///
/// # Shapes
/// `d_out = l k`, `d_in = m n`; `W₁: (l, m)`, `W₂: (k, n)`, each of them possibly a product of rank
/// r
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(LoKr::new().r(8))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Edalati et al. 2022, [arXiv:2212.10650](https://arxiv.org/abs/2212.10650); Yeh et al. 2023,
/// [arXiv:2309.14859](https://arxiv.org/abs/2309.14859) (LyCORIS).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct LoKr {
    settings: Settings,
}

impl LoKr {
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

    /// Factorize W₁ at rank r as well if that is smaller.
    ///
    /// Default: `false`.
    pub fn decompose_both(self, value: bool) -> Self {
        Self { settings: self.settings.with("decompose_both", flag(value)) }
    }

    /// Smaller factor of each side; -1 chooses the factors closest to each other.
    ///
    /// Default: `-1`. From -1 to 65,536.
    pub fn decompose_factor(self, value: i64) -> Self {
        Self { settings: self.settings.with("decompose_factor", integer(value)) }
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

impl Method for LoKr {
    fn verb(&self) -> &'static str {
        "lokr"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
