//! The keys of `%bitfit` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and run
// `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, list, text};

/// Train only the biases. The method of `%bitfit attach`.
///
/// ```text
/// y = W x + b
/// ```
///
/// Each linear layer keeps its weights frozen and trains its bias, y = W x + b; norms with a bias
/// train it too. Copies are trained, so the base model is unchanged. Families without biases (Llama
/// and relatives, including tiny) are refused: use `%ln_tuning` there, the closest alternative.
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

    /// Modules whose biases are trained, including their submodules; default: every bias of the
    /// model.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Modules whose biases stay frozen.
    pub fn exclude_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("exclude_modules", list(value)) }
    }

    /// Modules to train in full and save with the adapter, such as `lm_head`; trained as copies, so
    /// the base model is unchanged.
    pub fn modules_to_save<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("modules_to_save", list(value)) }
    }

    /// Name of the adapter; an adapter of the same name is replaced.
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
