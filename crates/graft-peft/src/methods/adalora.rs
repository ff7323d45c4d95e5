//! AdaLoRA: a low-rank update with one factor per rank, `y = W x + s B (E ∘ A) x`, whose ranks are
//! allocated to the layers that need them most.
//!
//! A and B are initialized from N(0, 0.02²), E with zeros.
//!
//! # Shapes
//! `x: (.., d_in)`, `A: (R, d_in)`, `E: (R, 1)`, `B: (d_out, R)`;
//! `s = lora_alpha / (init_r + 1e-5)`, also after ranks have been pruned
//! # Source
//! Zhang et al. 2023, arXiv:2303.10512. Golden `adalora`.

mod allocator;

use std::sync::Arc;

use graft_nn::{
    Context, Linear, LinearAdapter, Result, Tensor, Var,
    ops::{self, LowRank},
};
use graft_spec::{
    Settings,
    methods::{MethodSpec, adalora::SPEC},
};
use serde_json::Value;

use super::linear_layers::LinearLayers;
use super::lora;
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    method::{AdapterPart, Built, Method},
};
use allocator::{Allocator, Schedule, Triplet};

/// Every field of PEFT 0.21's `AdaLoraConfig` with its default.
const DEFAULTS: &str = r#"{"alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null,
    "base_model_name_or_path": null, "beta1": 0.85, "beta2": 0.85, "bias": "none", "corda_config": null, "deltaT": 1,
    "ensure_weight_tying": false, "eva_config": null, "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
    "init_lora_weights": true, "init_r": 12, "kasa_config": null, "layer_replication": null, "layers_pattern": null,
    "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8, "lora_bias": false, "lora_dropout": 0.0, "lora_ga_config": null,
    "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null, "monteclora_config": null, "orth_reg_weight": 0.5,
    "peft_type": "ADALORA", "qalora_group_size": 16, "r": 8, "rank_pattern": null, "revision": null, "target_modules": null,
    "target_parameters": null, "target_r": 8, "task_type": "CAUSAL_LM", "tfinal": 0, "tinit": 0, "total_step": null,
    "trainable_token_indices": null, "use_bdlora": null, "use_dora": false, "use_qalora": false, "use_rslora": false, "velora_config": null}"#;

/// The method.
pub(super) struct AdaLora;

struct AdaLoraLayer {
    matrices: Triplet,
    /// `s`
    scaling: f64,
    dropout: f64,
    state: Arc<AdapterState>,
}

impl LinearAdapter for AdaLoraLayer {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let Triplet { a, e, b, .. } = &self.matrices;
        let update = LowRank {
            a: a.as_tensor().broadcast_mul(e.as_tensor())?, // (R, d_in)
            b: b.as_tensor().clone(),                       // (d_out, R)
            scale: self.scaling * self.state.scale(),
            dropout: cx.mask(base.path(), self.dropout),
        };
        let y = ops::lora_linear(x, base.effective_weight(), &update)?; // (.., d_out)
        match base.bias() {
            Some(bias) => ops::bias_add(&y, &bias.tensor()),
            None => Ok(y),
        }
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        let Triplet { a, e, b, .. } = &self.matrices;
        let a = a.as_detached_tensor().broadcast_mul(&e.as_detached_tensor())?; // (R, d_in)
        Ok(Some((b.as_detached_tensor().matmul(&a)? * (self.scaling * self.state.scale()))?)) // (d_out, d_in)
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }
}

impl Method for AdaLora {
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
        fields::on_default_targets(&SPEC, DEFAULTS, cx, settings)
    }

    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> std::result::Result<Built, PeftError> {
        config.refuse(lora::UNSUPPORTED)?;
        config.refuse(&["trainable_token_indices"])?;
        config.refuse(&["use_dora", "use_rslora", "alpha_pattern"])?;
        let (init_r, target_r) = ranks(config, init)?;
        let scaling = config.number("lora_alpha")? / (init_r as f64 + 1e-5);
        let dropout = config.probability("lora_dropout")?;
        let mut layers = LinearLayers::select(cx, config, init)?;
        let mut parts = Vec::new();
        let mut triplets = Vec::new();
        let mut read = Vec::new();
        for linear in layers.layers.clone() {
            let r = remaining_ranks(config, linear.path()).unwrap_or(init_r);
            if r == 0 {
                // All ranks of this layer were pruned: HF PEFT writes empty matrices.
                read.extend(empty_matrices(linear));
                continue;
            }
            layers.check_rank(r, linear)?;
            let matrices = triplet(linear, r, cx)?;
            triplets.push(matrices.clone());
            let adapter = AdaLoraLayer { matrices, scaling, dropout, state: layers.state.clone() };
            parts.push(layer_part(linear, adapter));
        }
        if parts.is_empty() {
            return Err(config.invalid("rank_pattern", "lists that leave at least one rank"));
        }
        let schedule = Schedule::read(config, init_r, target_r)?;
        let allocator = Arc::new(Allocator::new(triplets, schedule));
        Ok(Built {
            read,
            training_hook: Some(allocator.clone()),
            export: Some(allocator),
            ..layers.finish(&SPEC, &["init_r", "target_r", "lora_alpha"], parts)
        })
    }
}

/// `init_r` and `target_r`.
fn ranks(config: &ConfigFile, init: InitSource) -> std::result::Result<(usize, usize), PeftError> {
    let (init_r, target_r) = (config.count("init_r")?, config.count("target_r")?);
    if init == InitSource::Fresh && target_r > init_r {
        return Err(PeftError::TargetRankTooLarge { target_r, init_r });
    }
    Ok((init_r, target_r))
}

/// The keys of the matrices of a layer without ranks.
fn empty_matrices(linear: &Linear) -> [String; 3] {
    ["lora_A", "lora_B", "lora_E"].map(|name| format!("base_model.model.{}.{name}", linear.path()))
}

/// The adapter of one layer with its weights by name.
fn layer_part(linear: &Linear, adapter: AdaLoraLayer) -> AdapterPart {
    let weights = vec![
        ("lora_A", adapter.matrices.a.clone()),
        ("lora_B", adapter.matrices.b.clone()),
        ("lora_E", adapter.matrices.e.clone()),
    ];
    let part = AdapterPart::linear(linear, Arc::new(adapter), weights);
    AdapterPart { counted: 1, ..part }
}

/// A and B from N(0, 0.02²), E zero.
fn triplet(
    linear: &Linear,
    r: usize,
    cx: &AttachContext<'_>,
) -> std::result::Result<Triplet, PeftError> {
    let initializer = Initializer::of(linear, cx);
    let (a, b): (Var, Var) = (
        initializer.normal("lora_A", (r, linear.d_in()), 0.02)?,
        initializer.normal("lora_B", (linear.d_out(), r), 0.02)?,
    );
    Ok(Triplet { path: linear.path().to_owned(), a, b, e: initializer.full(0.0, &[r, 1])? })
}

/// The number of ranks that remain in the layer at `path`: `rank_pattern` in a file contains a list
/// of booleans for each layer.
fn remaining_ranks(config: &ConfigFile, path: &str) -> Option<usize> {
    let prefix = format!("{path}.lora_E");
    let (_, remaining) = config
        .get("rank_pattern")?
        .as_object()?
        .iter()
        .find(|(key, _)| key.starts_with(&prefix))?;
    Some(remaining.as_array()?.iter().filter(|remaining| remaining.as_bool() == Some(true)).count())
}

/// Whether the ranks in a file have already been allocated.
fn is_allocated(config: &ConfigFile) -> bool {
    config.get("rank_pattern").and_then(Value::as_object).is_some_and(|pattern| !pattern.is_empty())
}
