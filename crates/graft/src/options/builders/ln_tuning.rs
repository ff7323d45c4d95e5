//! The keys of `%ln_tuning` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, list, text};

/// Train the weights of the norms and nothing else. The method of `%ln_tuning attach`.
///
/// ```text
/// y = x̂ ∘ w + b
/// ```
///
/// Each targeted norm gets a trained copy of its weight w, and of its bias b if it has one: y = x̂
/// ∘ w + b with x̂ the normalized input. The copies start as the base's own, so attaching does not
/// change the output.
///
/// # Shapes
/// `x̂: (.., C)`; `w, b: (C)`
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(LnTuning::new())?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Zhao et al. 2023, [arXiv:2312.11420](https://arxiv.org/abs/2312.11420).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct LnTuning {
    settings: Settings,
}

impl LnTuning {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Norms to train: names (suffixes) or a regular expression; without it the norms of the blocks
    /// and the final norm.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Norms to leave out of the targets: names or a regular expression.
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

impl Method for LnTuning {
    fn verb(&self) -> &'static str {
        "ln_tuning"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
