//! The keys of `%bottleneck` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{Method, list, number, text};

/// Bottleneck adapters: small trained networks between the sublayers. The method of
/// `%bottleneck attach`.
///
/// ```text
/// h + s (U f(D z + d) + u)
/// ```
///
/// A small network is added where a sublayer's output h joins the residual stream x: h +
/// s·(U·f(D·z+d)+u). D (C/reduction_factor × C), U (C × C/reduction_factor) and the biases d and u
/// are trained. `config=pfeiffer`: after the feed-forward sublayer with z = h + x (normalized in
/// BERT); houlsby: after attention and after feed-forward with z = h; parallel: in parallel with
/// feed-forward, z = x. U starts at zero, so attaching does not change the output, except with
/// `init_weights=bert`. The files are those of AdapterHub.
///
/// # Shapes
/// `D: (b, C)`, `U: (C, b)` with `b = C / reduction_factor`; biases `d: (b)` and `u: (C)`
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// let adapter = model.attach(Bottleneck::new().config("pfeiffer"))?;
/// println!("{adapter}");
/// # Ok(())
/// # }
/// ```
/// # Source
/// Houlsby et al. 2019, [arXiv:1902.00751](https://arxiv.org/abs/1902.00751); Pfeiffer et al. 2020,
/// [arXiv:2005.00052](https://arxiv.org/abs/2005.00052); He et al. 2021,
/// [arXiv:2110.04366](https://arxiv.org/abs/2110.04366).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Bottleneck {
    settings: Settings,
}

impl Bottleneck {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Position and input of the networks; the presets `seq_bn`, `double_seq_bn` and `par_bn` of
    /// AdapterHub.
    ///
    /// Default: `pfeiffer`. One of `pfeiffer`, `houlsby`, `parallel`.
    pub fn config(self, value: &str) -> Self {
        Self { settings: self.settings.with("config", text(value)) }
    }

    /// Hidden size of the model divided by the width of the bottleneck.
    ///
    /// Default: `16`. From 0.01 to 65,536.
    pub fn reduction_factor(self, value: f64) -> Self {
        Self { settings: self.settings.with("reduction_factor", number(value)) }
    }

    /// Activation function f; without it `relu`, and `swish` for houlsby.
    ///
    /// One of `relu`, `swish`, `gelu`, `tanh`.
    pub fn non_linearity(self, value: &str) -> Self {
        Self { settings: self.settings.with("non_linearity", text(value)) }
    }

    /// Scale s of the output; without it 1, and 4 for parallel.
    ///
    /// At least 0.
    pub fn scaling(self, value: f64) -> Self {
        Self { settings: self.settings.with("scaling", number(value)) }
    }

    /// Dropout probability on the output of the network during training.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn dropout(self, value: f64) -> Self {
        Self { settings: self.settings.with("dropout", number(value)) }
    }

    /// Initial values. `mam_adapter`: D uniform in ±1/sqrt(C), U zero; `bert`: both from N(0,
    /// 0.02²), the default of AdapterHub for pfeiffer and houlsby.
    ///
    /// Default: `mam_adapter`. One of `mam_adapter`, `bert`.
    pub fn init_weights(self, value: &str) -> Self {
        Self { settings: self.settings.with("init_weights", text(value)) }
    }

    /// Numbers of the blocks to leave out, such as 0,1.
    pub fn leave_out<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("leave_out", list(value)) }
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

impl Method for Bottleneck {
    fn verb(&self) -> &'static str {
        "bottleneck"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}
