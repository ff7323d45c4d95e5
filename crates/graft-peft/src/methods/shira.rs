//! SHiRA: a sparse update, `y = (W + S) x`, whose numbers lie at random places.
//!
//! # Shapes
//! `S: (d_out, d_in)` with `r (d_in + d_out)` numbers; the file has them as one vector, and their places as `shira_indices` (2, k): rows, columns
//! # Source
//! Bhardwaj et al. 2024, arXiv:2406.13175; the places are those of `torch.randperm` in peft, `tuners/shira/mask_functions.py`

mod places;

use std::sync::Arc;

use graft_nn::{Context, DType, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var, ops};
use graft_spec::{
    Settings,
    methods::{MethodSpec, shira::SPEC},
};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    layers::chosen,
    method::{AdapterPart, Built, Method},
    targets::Selection,
    weights_file::Weights,
};

/// Every field of PEFT 0.21's `ShiraConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "fan_in_fan_out": false, "inference_mode": true, "init_weights": true,
    "mask_type": "random", "modules_to_save": null, "peft_type": "SHIRA", "r": 32, "random_seed": null, "revision": null, "target_modules": null,
    "task_type": "CAUSAL_LM"}"#;

/// The seed of a `torch.Generator` that nobody has seeded.
const TORCH_SEED: u64 = 67_280_421_310_721;

/// The method.
pub(super) struct Shira;

struct ShiraLayer {
    values: Var,
    /// Places in the flattened weight, rising.
    places: Tensor,
    state: Arc<AdapterState>,
}

impl ShiraLayer {
    /// S, in the graph.
    fn update(&self, base: &Linear) -> Result<Tensor> {
        let values = (self.values.as_tensor() * self.state.scale())?; // (k)
        let empty = Tensor::zeros(base.d_out() * base.d_in(), DType::F32, values.device())?;
        Ok(empty.index_add(&self.places, &values, 0)?.reshape((base.d_out(), base.d_in()))?) // (d_out, d_in)
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

    /// The base's output and the change; the zeros, what the values make of them, and its gradient, which waits until all layers are through.
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
        let (r, selection) = (config.count("r")?, Selection::read(config)?);
        let seed =
            config.get("random_seed").and_then(serde_json::Value::as_u64).unwrap_or(TORCH_SEED);
        let layers = chosen(cx, &selection, init)?;
        let state = Arc::new(AdapterState::new());
        let (mut parts, mut read) = (Vec::new(), Vec::new());
        for linear in &layers {
            let key = format!("base_model.model.{}.shira_indices", linear.path());
            let places = match cx.file().filter(|file| file.shape(&key).is_some()) {
                Some(file) => places::stored(linear, file, &key)?,
                None if config.text("mask_type").is_some_and(|kind| kind != "random") => {
                    let kind = config.text("mask_type").unwrap_or_default();
                    return Err(config.unsupported(format!("`mask_type` {kind} without `{key}` in its file, which says where the numbers are")));
                }
                None => places::drawn(linear, r, seed)?,
            };
            let values = Initializer::of(linear, cx).full(0.0, &[places.len()])?;
            let copies = vec![(key.clone(), places::table(linear, &places)?)];
            let places = Tensor::new(places, values.device())?;
            let adapter =
                Arc::new(ShiraLayer { values: values.clone(), places, state: state.clone() });
            parts.push(AdapterPart {
                copies,
                ..AdapterPart::linear(linear, adapter, vec![("shira_weight", values)])
            });
            read.push(key);
        }
        let settings = fields::to_settings(&SPEC, config, &["r"], &selection, cx.model, &layers);
        Ok(Built { read, ..Built::new(settings, parts, state) })
    }
}
