//! SHiRA: a sparse update, `y = (W + S) x`, with trained values at random positions.
//!
//! The values are initialized with zeros.
//!
//! # Shapes
//! `x: (.., d_in)`, `S: (d_out, d_in)` with `k = r (d_in + d_out)` values; the file contains them
//! as one vector, and their positions as `shira_indices: (2, k)`: rows, columns
//! # Source
//! Bhardwaj et al. 2024, arXiv:2406.13175; the positions are those of `torch.randperm` in peft,
//! `tuners/shira/mask_functions.py`. No golden.

mod indices;

use std::sync::Arc;

use graft_nn::{Context, DType, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var, ops};
use graft_spec::{
    Settings,
    methods::{MethodSpec, shira::SPEC},
};

use super::linear_layers::LinearLayers;
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    method::{AdapterPart, Built, Method},
    weights_file::Weights,
};

/// Every field of PEFT 0.21's `ShiraConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "fan_in_fan_out": false, "inference_mode": true, "init_weights": true,
    "mask_type": "random", "modules_to_save": null, "peft_type": "SHIRA", "r": 32, "random_seed": null, "revision": null, "target_modules": null,
    "task_type": "CAUSAL_LM"}"#;

/// The seed of a new `torch.Generator`.
const TORCH_SEED: u64 = 67_280_421_310_721;

/// The method.
pub(super) struct Shira;

struct ShiraLayer {
    values: Var,
    /// Ascending indices into the flattened weight.
    indices: Tensor,
    state: Arc<AdapterState>,
}

impl ShiraLayer {
    /// S, in the graph.
    fn update(&self, base: &Linear) -> Result<Tensor> {
        let values = (self.values.as_tensor() * self.state.scale())?; // (k)
        let empty = Tensor::zeros(base.d_out() * base.d_in(), DType::F32, values.device())?;
        Ok(empty.index_add(&self.indices, &values, 0)?.reshape((base.d_out(), base.d_in()))?) // (d_out, d_in)
    }
}

impl LinearAdapter for ShiraLayer {
    fn forward(&self, base: &Linear, x: &Tensor, _cx: &Context) -> Result<Tensor> {
        Ok((base.base_forward(x)? + ops::linear(x, &self.update(base)?)?)?) // (.., d_out)
    }

    fn delta(&self, base: &Linear) -> Result<Option<Tensor>> {
        Ok(Some(self.update(base)?.detach()))
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// The outputs of the base layer and of the update; the zeros, the dense update, and its
    /// gradient, which lives until the end of the backward pass.
    fn saved_activations(&self, base: &Linear) -> SavedActivations {
        SavedActivations::per_position(2 * base.d_out())
            .and_per_pass(3 * base.d_in() * base.d_out())
    }
}

impl Method for Shira {
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
        let r = config.count("r")?;
        let seed =
            config.get("random_seed").and_then(serde_json::Value::as_u64).unwrap_or(TORCH_SEED);
        let layers = LinearLayers::select(cx, config, init)?;
        let state = layers.state.clone();
        let mut read = Vec::new();
        let built = layers.build(&SPEC, &["r"], |linear| {
            let key = format!("base_model.model.{}.shira_indices", linear.path());
            let mask = config.text("mask_type").unwrap_or("random");
            let indices = match cx.file().filter(|file| file.shape(&key).is_some()) {
                Some(file) => indices::stored(linear, file, &key)?,
                None if mask != "random" => {
                    return Err(config.unsupported(format!(
                        "`mask_type` {mask} without `{key}` in its file, which lists the trained \
                         weights"
                    )));
                }
                None => indices::drawn(linear, r, seed)?,
            };
            let values = Initializer::of(linear, cx).full(0.0, &[indices.len()])?;
            let copies = vec![(key.clone(), indices::table(linear, &indices)?)];
            let indices = Tensor::new(indices, values.device())?;
            let adapter = ShiraLayer { values: values.clone(), indices, state: state.clone() };
            read.push(key);
            let weights = vec![("shira_weight", values)];
            Ok(AdapterPart { copies, ..AdapterPart::linear(linear, Arc::new(adapter), weights) })
        })?;
        Ok(Built { read, ..built })
    }
}
