//! The keys of `%oft` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, flag, integer, list, text};

/// Orthogonal fine-tuning: rotate the inputs of each layer, in blocks. The method of `%oft attach`.
///
/// ```text
/// y = W Rᵀ x
/// ```
///
/// Each targeted linear layer computes y = W Rᵀ x. R is orthogonal and block-diagonal; each block
/// is the Cayley transform (I - Q)(I + Q)⁻¹ of a trained skew-symmetric Q, so lengths and angles
/// between the rows of W are preserved. `use_cayley_neumann` replaces the inverse by the first
/// terms of its series. Q starts at zero, so attaching does not change the output.
///
/// # Shapes
/// `n` blocks of side `b` with `n b = d_in`; trained: `(n, b (b - 1) / 2)`, the numbers of `Q`
/// above its diagonal, row by row
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Oft::new().oft_block_size(32))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Qiu et al. 2023, [arXiv:2306.07280](https://arxiv.org/abs/2306.07280); Qiu et al. 2025,
/// [arXiv:2506.19847](https://arxiv.org/abs/2506.19847) (OFTv2).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Oft {
    settings: Settings,
}

impl Oft {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Size of a block; it must divide the width of the input; 0 if r is set.
    ///
    /// Default: `32`. From 0 to 65,536.
    pub fn oft_block_size(self, value: usize) -> Self {
        Self { settings: self.settings.with("oft_block_size", integer(value)) }
    }

    /// Number of blocks, instead of their size; 0 if `oft_block_size` is set.
    ///
    /// Default: `0`. From 0 to 65,536.
    pub fn r(self, value: usize) -> Self {
        Self { settings: self.settings.with("r", integer(value)) }
    }

    /// Use one Q for all blocks of a layer.
    ///
    /// Default: `false`.
    pub fn block_share(self, value: bool) -> Self {
        Self { settings: self.settings.with("block_share", flag(value)) }
    }

    /// Use the first terms of the series instead of the inverse: faster, but orthogonal only while
    /// Q is small.
    ///
    /// Default: `true`.
    pub fn use_cayley_neumann(self, value: bool) -> Self {
        Self { settings: self.settings.with("use_cayley_neumann", flag(value)) }
    }

    /// Number of terms of the series.
    ///
    /// Default: `5`. From 1 to 64.
    pub fn num_cayley_neumann_terms(self, value: usize) -> Self {
        Self { settings: self.settings.with("num_cayley_neumann_terms", integer(value)) }
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

impl Method for Oft {
    fn verb(&self) -> &'static str {
        "oft"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
