//! The keys of `%adalora` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and run
// `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, integer, list, number, text};

/// LoRA that reallocates rank to the layers that need it during training. The method of
/// `%adalora attach`.
///
/// ```text
/// y = W x + s B (E ∘ A) x
/// ```
///
/// Each targeted linear layer computes y = W x + s·B (E ∘ A) x with A (r × `d_in`), B (`d_out` × r)
/// and one factor E per rank, s = `lora_alpha` / `init_r`. Training starts with rank `init_r` in
/// each layer; between the first tinit and the last tfinal steps the ranks with the lowest
/// sensitivity are pruned, until the average rank is `target_r`. The training loop does this
/// automatically, and the loss contains an orthogonality penalty on A and B. E starts at zero, so
/// attaching changes nothing.
///
/// # Shapes
/// `x: (.., d_in)`, `A: (R, d_in)`, `E: (R, 1)`, `B: (d_out, R)` with `R = init_r`,
/// `W: (d_out, d_in)` frozen
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(AdaLora::new().init_r(12))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Zhang et al. 2023, [arXiv:2303.10512](https://arxiv.org/abs/2303.10512).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct AdaLora {
    settings: Settings,
}

impl AdaLora {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Initial rank of each layer, at most the smaller dimension of the layer.
    ///
    /// Default: `12`. From 1 to 65,536.
    pub fn init_r(self, value: usize) -> Self {
        Self { settings: self.settings.with("init_r", integer(value)) }
    }

    /// Average final rank; less than `init_r`.
    ///
    /// Default: `8`. From 1 to 65,536.
    pub fn target_r(self, value: usize) -> Self {
        Self { settings: self.settings.with("target_r", integer(value)) }
    }

    /// Scale of the update: s = `lora_alpha` / `init_r`.
    ///
    /// Default: `8`. At least 0.
    pub fn lora_alpha(self, value: f64) -> Self {
        Self { settings: self.settings.with("lora_alpha", number(value)) }
    }

    /// Dropout probability of the inputs of A.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn lora_dropout(self, value: f64) -> Self {
        Self { settings: self.settings.with("lora_dropout", number(value)) }
    }

    /// Warm-up steps before ranks are pruned.
    ///
    /// Default: `0`. At least 0.
    pub fn tinit(self, value: usize) -> Self {
        Self { settings: self.settings.with("tinit", integer(value)) }
    }

    /// Final steps with fixed ranks.
    ///
    /// Default: `0`. At least 0.
    pub fn tfinal(self, value: usize) -> Self {
        Self { settings: self.settings.with("tfinal", integer(value)) }
    }

    /// Steps between two reallocations.
    ///
    /// Default: `1`. At least 1.
    #[allow(non_snake_case, reason = "HF PEFT's name")]
    pub fn deltaT(self, value: usize) -> Self {
        Self { settings: self.settings.with("deltaT", integer(value)) }
    }

    /// Smoothing factor of the sensitivity.
    ///
    /// Default: `0.85`. From 0.001 to 0.999.
    pub fn beta1(self, value: f64) -> Self {
        Self { settings: self.settings.with("beta1", number(value)) }
    }

    /// Smoothing factor of its uncertainty.
    ///
    /// Default: `0.85`. From 0.001 to 0.999.
    pub fn beta2(self, value: f64) -> Self {
        Self { settings: self.settings.with("beta2", number(value)) }
    }

    /// Weight of the orthogonality penalty on A and B.
    ///
    /// Default: `0.5`. At least 0.
    pub fn orth_reg_weight(self, value: f64) -> Self {
        Self { settings: self.settings.with("orth_reg_weight", number(value)) }
    }

    /// Module names (suffixes, a regular expression, or all-linear); default: that of the model
    /// family, such as `q_proj,v_proj`.
    pub fn target_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("target_modules", list(value)) }
    }

    /// Module names, or a regular expression, to exclude from the targets.
    pub fn exclude_modules<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("exclude_modules", list(value)) }
    }

    /// Block numbers, such as 0,2,4; default: all blocks.
    pub fn layers_to_transform<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("layers_to_transform", list(value)) }
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

impl Method for AdaLora {
    fn verb(&self) -> &'static str {
        "adalora"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
