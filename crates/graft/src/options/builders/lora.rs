//! The keys of `%lora` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, flag, integer, list, number, text};

/// Low-rank adapters: train B·A on top of frozen weights. The method of `%lora attach`.
///
/// ```text
/// y = W x + s B A x
/// ```
///
/// Each targeted linear layer computes y = W x + s·B A x with W frozen and A (r × `d_in`) and B
/// (`d_out` × r) trained; s = `lora_alpha` / r, or `lora_alpha` / √r with `use_rslora`. B starts at
/// zero, so attaching does not change the output.
///
/// # Shapes
/// `x: (.., d_in)`, `A: (r, d_in)`, `B: (d_out, r)`, `W: (d_out, d_in)` frozen
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Lora::new().r(8))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Hu et al. 2021, [arXiv:2106.09685](https://arxiv.org/abs/2106.09685); rsLoRA: Kalajdzievski
/// 2023, [arXiv:2312.03732](https://arxiv.org/abs/2312.03732); LoRA+: Hayou et al. 2024,
/// [arXiv:2402.12354](https://arxiv.org/abs/2402.12354).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Lora {
    settings: Settings,
}

impl Lora {
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

    /// Scale of the update: s = `lora_alpha` / r.
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

    /// Rank-stabilized LoRA: s = `lora_alpha` / sqrt(r).
    ///
    /// Default: `false`.
    pub fn use_rslora(self, value: bool) -> Self {
        Self { settings: self.settings.with("use_rslora", flag(value)) }
    }

    /// Initial values of A and B. `true`: A uniform in ±1/sqrt(d_in), B zero; `gaussian`: A from
    /// N(0, 1/r²); `orthogonal`: B·A = 0 with both factors nonzero; `pissa` and `olora`: the
    /// leading part of W, by singular values or by columns, which is subtracted from the base while
    /// the adapter is active; `eva`: A from the principal directions of the layer's inputs on the
    /// current data, with the ranks distributed by explained variance; `loftq`: a low-rank
    /// approximation of the quantization error of a base in 4 or 8 bits.
    ///
    /// Default: `true`. One of `true`, `gaussian`, `orthogonal`, `pissa`, `olora`, `eva`, `loftq`.
    pub fn init_lora_weights(self, value: &str) -> Self {
        Self { settings: self.settings.with("init_lora_weights", text(value)) }
    }

    /// With `init=eva`: a layer gets at most rank `eva_rho` × r; 1 gives every layer rank r.
    ///
    /// Default: `2`. From 1 to 1,000.
    pub fn eva_rho(self, value: f64) -> Self {
        Self { settings: self.settings.with("eva_rho", number(value)) }
    }

    /// LoRA+: factor on the learning rate of B, usually 4 to 16; applies to training and is not
    /// saved in the file.
    ///
    /// Default: `1`. At least 0.
    pub fn loraplus_lr_ratio(self, value: f64) -> Self {
        Self { settings: self.settings.with("loraplus_lr_ratio", number(value)) }
    }

    /// Biases to train as well: `none`, `all`, or those of the targets (`lora_only`); copies are
    /// trained, so the base does not change.
    ///
    /// Default: `none`. One of `none`, `all`, `lora_only`.
    pub fn bias(self, value: &str) -> Self {
        Self { settings: self.settings.with("bias", text(value)) }
    }

    /// Modules that are trained fully and saved with the adapter, such as `lm_head`; copies are
    /// trained, so the base does not change.
    pub fn modules_to_save<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("modules_to_save", list(value)) }
    }

    /// Tokens whose embeddings are trained as well, as ids such as 256,260-262, for example those
    /// of `added_tokens`; `lm_head:256` names another layer than the input embedding; copies are
    /// trained, so the base does not change.
    pub fn trainable_token_indices<T: Into<String>>(
        self,
        value: impl IntoIterator<Item = T>,
    ) -> Self {
        Self { settings: self.settings.with("trainable_token_indices", list(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl Method for Lora {
    fn verb(&self) -> &'static str {
        "lora"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
