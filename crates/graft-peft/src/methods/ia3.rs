//! IA³: a trained factor for each activation, `y = l ∘ (W x + b)`, or for each input of a
//! feed-forward module, `y = W (l ∘ x) + b`.
//!
//! The factors are initialized with ones.
//!
//! # Shapes
//! `x: (.., d_in)`, `l: (d_out, 1)`; in feed-forward modules `l: (1, d_in)`
//! # Source
//! Liu et al. 2022, arXiv:2205.05638. Golden `ia3`. HF PEFT scales the bias too, also when merging.

use std::sync::Arc;

use graft_nn::{
    Context, DType, Linear, LinearAdapter, Model, Result, Role, SavedActivations, Tensor, Var,
};
use graft_spec::{
    Settings,
    methods::{MethodSpec, ia3::SPEC},
};

use super::linear_layers::LinearLayers;
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    layers::{chosen, linear_sites, suffix},
    method::{AdapterPart, Built, Method},
    targets::{Selection, Targets},
};

/// Every field of PEFT 0.21's `IA3Config` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "exclude_modules": null, "fan_in_fan_out": false,
    "feedforward_modules": null, "inference_mode": true, "init_ia3_weights": true, "modules_to_save": null, "peft_type": "IA3",
    "revision": null, "target_modules": null, "task_type": "CAUSAL_LM"}"#;

/// The method.
pub(super) struct Ia3;

struct Ia3Layer {
    /// (d_out, 1) or (1, d_in).
    factors: Var,
    is_feedforward: bool,
    state: Arc<AdapterState>,
}

impl Ia3Layer {
    /// `1 + scale (l - 1)`; at scale 1 this is `l`.
    fn scaled(&self, factors: &Tensor) -> Result<Tensor> {
        let factor = self.state.scale();
        Ok(if factor == 1.0 { factors.clone() } else { factors.affine(factor, 1.0 - factor)? })
    }

    /// The update that merging adds: `of` times the scaled `l - 1`.
    fn change(&self, of: &Tensor, factors: &Tensor) -> Result<Tensor> {
        let extra = (self.scaled(factors)? - 1.0)?;
        Ok(of.detach().to_dtype(DType::F32)?.broadcast_mul(&extra)?)
    }
}

impl LinearAdapter for Ia3Layer {
    fn forward(&self, base: &Linear, x: &Tensor, _cx: &Context) -> Result<Tensor> {
        let factors = self.scaled(&self.factors.flatten_all()?)?.to_dtype(x.dtype())?; // (d_out) or (d_in)
        if self.is_feedforward {
            return base.base_forward(&x.broadcast_mul(&factors)?); // (.., d_out)
        }
        Ok(base.base_forward(x)?.broadcast_mul(&factors)?) // (.., d_out)
    }

    fn delta(&self, base: &Linear) -> Result<Option<Tensor>> {
        self.change(&base.effective_weight().tensor(), &self.factors.as_detached_tensor()).map(Some) // (d_out, d_in)
    }

    fn bias_delta(&self, base: &Linear) -> Result<Option<Tensor>> {
        let bias = base.bias().filter(|_| !self.is_feedforward);
        bias.map(|bias| {
            self.change(&bias.tensor(), &self.factors.as_detached_tensor().flatten_all()?)
        })
        .transpose() // (d_out)
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// The activation before it is scaled.
    fn saved_activations(&self, base: &Linear) -> SavedActivations {
        SavedActivations::per_position(if self.is_feedforward { base.d_in() } else { base.d_out() })
    }
}

impl Method for Ia3 {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(
        &self,
        cx: &AttachContext<'_>,
        settings: &Settings,
    ) -> std::result::Result<ConfigFile, PeftError> {
        let default_targets = named_by_role(cx.model, &[Role::Key, Role::Value, Role::Down]);
        let mut config = fields::from_settings(&SPEC, DEFAULTS, settings, &default_targets)?;
        if config.get("feedforward_modules").is_none() {
            let selection = Selection::read(&config)?;
            let down_projections: Vec<&Linear> = chosen(cx, &selection, InitSource::Fresh)?
                .into_iter()
                .filter(|linear| linear.role() == Role::Down)
                .collect();
            let mut names: Vec<String> =
                down_projections.iter().map(|linear| suffix(cx.model, linear)).collect();
            names.dedup();
            config.set("feedforward_modules", names.into());
        }
        Ok(config)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        let feedforward = match config.get("feedforward_modules") {
            None => None,
            Some(value) => Some(Targets::from_json(value).ok_or_else(|| {
                config.invalid(
                    "feedforward_modules",
                    "a list of module names or a regular expression",
                )
            })?),
        };
        let layers = LinearLayers::select(cx, config, init)?;
        check_feedforward(feedforward.as_ref(), &layers.layers, init)?;
        let state = layers.state.clone();
        layers.build(&SPEC, &[], |linear| {
            let is_feedforward = feedforward
                .as_ref()
                .map(|targets| targets.ends(linear.path()))
                .transpose()?
                .unwrap_or(false);
            let shape = if is_feedforward { [1, linear.d_in()] } else { [linear.d_out(), 1] };
            let factors = Initializer::of(linear, cx).full(1.0, &shape)?;
            let state = state.clone();
            let adapter = Ia3Layer { factors: factors.clone(), is_feedforward, state };
            Ok(AdapterPart::linear(linear, Arc::new(adapter), vec![("ia3_l", factors)]))
        })
    }
}

/// Checks that every feed-forward module is a target: others would be ignored silently.
fn check_feedforward(
    feedforward: Option<&Targets>,
    layers: &[&Linear],
    init: InitSource,
) -> std::result::Result<(), PeftError> {
    let Some(Targets::List(names)) = feedforward.filter(|_| init == InitSource::Fresh) else {
        return Ok(());
    };
    match names.iter().find(|name| !layers.iter().any(|linear| linear.path().ends_with(*name))) {
        None => Ok(()),
        Some(name) => Err(PeftError::NotATarget { name: name.clone() }),
    }
}

/// The shortest names of the layers with these roles, in the model's order.
fn named_by_role(model: &dyn Model, roles: &[Role]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (site, linear) in linear_sites(model) {
        let name = suffix(model, linear);
        if roles.contains(&site.role) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
