//! The keys of `%ia3` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, list, text};

/// Rescaling: train one factor per activation. The method of `%ia3 attach`.
///
/// ```text
/// y = l ∘ (W x + b)
/// ```
///
/// Each targeted linear layer computes y = l ∘ (W x + b) with one trained factor per output. Layers
/// in `feedforward_modules` scale their input instead: y = W (l ∘ x) + b. All factors start at 1,
/// so attaching does not change the output. Default targets: keys, values and the last layers of
/// the feed-forward blocks, as in the paper.
///
/// # Shapes
/// `l: (d_out, 1)`, or `(1, d_in)` in feed-forward modules
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Ia3::new())?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Liu et al. 2022, [arXiv:2205.05638](https://arxiv.org/abs/2205.05638).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Ia3 {
    settings: Settings,
}

impl Ia3 {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Modules to adapt: names (suffixes), a regular expression, or all-linear; without it the
    /// default of the model family, such as `q_proj,v_proj`.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Targets whose input is scaled instead of their output; without it the last layers of the
    /// feed-forward blocks.
    pub fn feedforward_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("feedforward_modules", list(value)) }
    }

    /// Modules to leave out of the targets: names or a regular expression.
    pub fn exclude_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("exclude_modules", list(value)) }
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

impl Method for Ia3 {
    fn verb(&self) -> &'static str {
        "ia3"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
