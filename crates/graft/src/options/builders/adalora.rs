//! The keys of `%adalora` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, integer, list, number, text};

/// LoRA that moves its ranks to the layers that need them during training. The method of
/// `%adalora attach`.
///
/// ```text
/// y = W x + s B (E ∘ A) x
/// ```
///
/// Each targeted linear layer computes y = W x + s·B (E ∘ A) x with A (r × `d_in`), B (`d_out` × r)
/// and one factor E per rank; s = `lora_alpha` / `init_r`. Training starts with `init_r` ranks in
/// each layer. Between the first tinit and the last tfinal steps the ranks with the lowest
/// sensitivity are set to zero until `target_r` are left on average. A term of the loss keeps A and
/// B orthogonal. E starts at zero, so attaching does not change the output.
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

    /// Initial rank of each layer, at most its smaller side.
    ///
    /// Default: `12`. From 1 to 65,536.
    pub fn init_r(self, value: usize) -> Self {
        Self { settings: self.settings.with("init_r", integer(value)) }
    }

    /// Average rank at the end of training; below `init_r`.
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

    /// Dropout probability on the input of A during training.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn lora_dropout(self, value: f64) -> Self {
        Self { settings: self.settings.with("lora_dropout", number(value)) }
    }

    /// Steps before the first ranks are pruned.
    ///
    /// Default: `0`. At least 0.
    pub fn tinit(self, value: usize) -> Self {
        Self { settings: self.settings.with("tinit", integer(value)) }
    }

    /// Final steps during which the ranks do not change.
    ///
    /// Default: `0`. At least 0.
    pub fn tfinal(self, value: usize) -> Self {
        Self { settings: self.settings.with("tfinal", integer(value)) }
    }

    /// Steps between two prunings.
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

    /// Smoothing factor of the uncertainty of the sensitivity.
    ///
    /// Default: `0.85`. From 0.001 to 0.999.
    pub fn beta2(self, value: f64) -> Self {
        Self { settings: self.settings.with("beta2", number(value)) }
    }

    /// Weight of the loss term that keeps A and B orthogonal.
    ///
    /// Default: `0.5`. At least 0.
    pub fn orth_reg_weight(self, value: f64) -> Self {
        Self { settings: self.settings.with("orth_reg_weight", number(value)) }
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

impl Method for AdaLora {
    fn verb(&self) -> &'static str {
        "adalora"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
