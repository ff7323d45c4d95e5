//! DoRA: a low-rank update adapts the direction of each row of a weight, and a trained vector its
//! magnitude, `y = m ∘ (W + s B A) x / n`, `n_i = ‖(W + s B A)_i‖`.
//!
//! `n` is a constant in the backward pass (section 4.3 of the paper). `m` is initialized with the
//! norms of the rows of `W`, A and B as in LoRA.
//!
//! # Shapes
//! `x: (.., d_in)`, `A: (r, d_in)`, `B: (d_out, r)`, `W: (d_out, d_in)` frozen, `m, n: (d_out)`;
//! `s = lora_alpha / r`, in rsLoRA `lora_alpha / sqrt(r)`
//! # Source
//! Liu et al. 2024, arXiv:2402.09353; HF PEFT stores it in LoRA's files with `use_dora`. Golden
//! `dora`.

use std::sync::Arc;

use graft_nn::{
    Context, DType, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var,
    ops::{self, LowRank},
};
use graft_spec::{
    Settings,
    methods::{MethodSpec, dora::SPEC},
};

use super::linear_layers::LinearLayers;
use super::lora;
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    method::{AdapterPart, Built, Method},
};

/// The method.
pub(super) struct Dora;

struct DoraLayer {
    a: Var,
    b: Var,
    magnitude: Var,
    /// `s`.
    scaling: f64,
    dropout: f64,
    state: Arc<AdapterState>,
}

impl DoraLayer {
    fn low_rank(&self, dropout: Option<graft_nn::DropoutMask>) -> LowRank {
        LowRank {
            a: self.a.as_tensor().clone(),
            b: self.b.as_tensor().clone(),
            scale: self.scaling,
            dropout,
        }
    }

    /// `W + s B A`, detached from the graph.
    fn direction(&self, base: &Linear) -> Result<Tensor> {
        let update = self.b.as_detached_tensor().matmul(&self.a.as_detached_tensor())?; // (d_out, d_in)
        Ok((base.effective_weight().tensor().detach().to_dtype(DType::F32)?
            + (update * self.scaling)?)?)
    }
}

impl LinearAdapter for DoraLayer {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let lengths = self.direction(base)?.sqr()?.sum(1)?.sqrt()?; // (d_out)
        let ratio = (self.magnitude.as_tensor() / lengths)?.to_dtype(x.dtype())?; // (d_out)
        let w = base.effective_weight();
        let change = match cx.mask(base.path(), self.dropout) {
            None if self.state.scale() == 1.0 => {
                let y = ops::lora_linear(x, &w, &self.low_rank(None))?.broadcast_mul(&ratio)?; // (.., d_out)
                return match base.bias() {
                    Some(bias) => ops::bias_add(&y, &bias.tensor()),
                    None => Ok(y),
                };
            }
            None => {
                (ops::lora_linear(x, &w, &self.low_rank(None))?.broadcast_mul(&ratio)?
                    - ops::linear(x, &w)?)?
            } // (.., d_out)
            // As in HF PEFT, the dropped input also passes through W, because the update changes
            // the magnitude of W's output.
            Some(mask) => {
                let factors = Tensor::from_vec(mask.factors(x.elem_count()), x.dims(), x.device())?
                    .to_dtype(x.dtype())?;
                let x = (x * factors)?; // (.., d_in)
                (ops::lora_linear(&x, &w, &self.low_rank(None))?.broadcast_mul(&ratio)?
                    - ops::linear(&x, &w)?)? // (.., d_out)
            }
        };
        Ok((base.base_forward(x)? + (change * self.state.scale())?)?)
    }

    fn delta(&self, base: &Linear) -> Result<Option<Tensor>> {
        let direction = self.direction(base)?; // (d_out, d_in)
        let ratio = (self.magnitude.as_detached_tensor() / direction.sqr()?.sum(1)?.sqrt()?)?
            .unsqueeze(1)?; // (d_out, 1)
        let change = (direction.broadcast_mul(&ratio)?
            - base.effective_weight().tensor().detach().to_dtype(DType::F32)?)?; // (d_out, d_in)
        Ok(Some((change * self.state.scale())?))
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// The output before scaling; with a scale other than 1 or with dropout also the separate terms
    /// of the change.
    fn saved_activations(&self, base: &Linear) -> SavedActivations {
        let is_plain = self.dropout == 0.0 && self.state.scale() == 1.0;
        let dropped = if self.dropout > 0.0 { 2 * base.d_in() } else { 0 };
        SavedActivations::per_position(if is_plain {
            base.d_out()
        } else {
            6 * base.d_out() + dropped
        })
    }
}

impl Method for Dora {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        lora::DEFAULTS
    }

    fn reads(&self, config: &ConfigFile) -> bool {
        config.text("peft_type") == Some(SPEC.peft_type) && config.flag("use_dora")
    }

    fn config(
        &self,
        cx: &AttachContext<'_>,
        settings: &Settings,
    ) -> std::result::Result<ConfigFile, PeftError> {
        let mut config = fields::on_default_targets(&SPEC, lora::DEFAULTS, cx, settings)?;
        config.set("use_dora", true.into());
        Ok(config)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        let lora = lora::LoraConfig::read(config)?;
        if matches!(lora.init, lora::Init::Pissa | lora::Init::Olora) {
            return Err(
                config.unsupported("DoRA with `init_lora_weights` = pissa or olora".to_owned())
            );
        }
        let mut layers = LinearLayers::select(cx, config, init)?;
        for linear in layers.layers.clone() {
            layers.check_rank(lora.ranks.at(linear.path()).0, linear)?;
        }
        let state = layers.state.clone();
        let targeted: Vec<&str> = layers.layers.iter().map(|linear| linear.path()).collect();
        let (tokens, read) = lora::token_parts(cx, config, &targeted, &state)?;
        let mut built =
            layers.low_rank((&SPEC, &["r", "lora_alpha"]), &lora.ranks, |linear, r, scaling| {
                let lora::LowRankInit { a, b, .. } =
                    lora.init.initialize(linear, (r, scaling), cx, init)?;
                let w = linear.effective_weight().tensor().detach().to_dtype(DType::F32)?; // (d_out, d_in)
                let magnitude = Var::from_tensor(&w.sqr()?.sum(1)?.sqrt()?)?; // (d_out)
                let weights = vec![
                    ("lora_A.weight", a.clone()),
                    ("lora_B.weight", b.clone()),
                    ("lora_magnitude_vector", magnitude.clone()),
                ];
                let dropout = lora.dropout;
                let adapter = DoraLayer { a, b, magnitude, scaling, dropout, state: state.clone() };
                Ok(AdapterPart {
                    copies: lora::copies(linear),
                    ..AdapterPart::linear(linear, Arc::new(adapter), weights)
                })
            })?;
        built.parts.extend(tokens);
        built.read.extend(read);
        Ok(built)
    }
}
