//! The keys of `%bitfit` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, list, text};

/// Train the biases and nothing else. The method of `%bitfit attach`.
///
/// ```text
/// y = W x + b
/// ```
///
/// Each layer keeps its weight and trains its bias, y = W x + b; norms that have a bias train it as
/// well. Copies are trained, so the base does not change. Attaching fails in a family without
/// biases, such as Llama and `tiny`; norms (`%ln_tuning`) are the closest alternative there.
///
/// # Shapes
/// `b: (d_out)` of linear layers, `(C)` of norms
/// # Examples
/// ```no_run
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("openai-community/gpt2")?;
/// let adapter = model.attach(BitFit::new())?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Ben Zaken et al. 2021, [arXiv:2106.10199](https://arxiv.org/abs/2106.10199).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct BitFit {
    settings: Settings,
}

impl BitFit {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Modules whose biases are trained, including the modules inside them; without it every bias
    /// of the model.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Modules whose biases stay frozen.
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

impl Method for BitFit {
    fn verb(&self) -> &'static str {
        "bitfit"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
