//! The keys of `%full` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, list, text};

/// Full fine-tuning, the baseline: train every weight, or those of some modules. The method of
/// `%full attach`.
///
/// ```text
/// y = W' x + b'
/// ```
///
/// A copy of every weight is trained and replaces the base's own weight while the adapter is
/// active, so detaching restores the base. Each trained number takes memory for a copy, a gradient
/// and two moments; `%memory` lists them. `exclude_modules` freezes modules by name
/// (`embed_tokens`, layers.0) or by a regular expression; `target_modules` trains only those. A
/// base in 4 or 8 bits cannot be trained. Saved as an adapter in Graft's own format; `%full` merge
/// and `%model` save write a plain Hugging Face folder.
///
/// # Shapes
/// those of the weights
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Full::new())?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Howard and Ruder 2018, [arXiv:1801.06146](https://arxiv.org/abs/1801.06146) (freezing); Lee et
/// al. 2019, [arXiv:1911.03090](https://arxiv.org/abs/1911.03090).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Full {
    settings: Settings,
}

impl Full {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Modules to train, including the modules inside them: names such as layers.3 or `lm_head`, or
    /// a regular expression; without it all modules.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Modules to freeze, including the modules inside them: names such as `embed_tokens` or
    /// layers.0, or a regular expression.
    pub fn exclude_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("exclude_modules", list(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl Method for Full {
    fn verb(&self) -> &'static str {
        "full"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
