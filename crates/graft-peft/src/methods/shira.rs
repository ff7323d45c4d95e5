//! SHiRA: a sparse update, `y = (W + S) x`, whose numbers lie at random places.
//!
//! # Shapes
//! `S: (d_out, d_in)` with `r (d_in + d_out)` numbers; the file has them as one vector, in the order of the places, row by row
//! # Source
//! Bhardwaj et al. 2024, arXiv:2406.13175; the places are those of `torch.randperm` in peft, `tuners/shira/mask_functions.py`

use std::sync::Arc;

use graft_nn::{Context, DType, Kept, Linear, LinearAdapter, Result, Tensor, Var, ops};
use graft_protocol::{
    Settings,
    methods::{MethodSpec, shira::SPEC},
};

use super::{Built, Method, Part, Start};
use crate::{PeftError, Workbench, config_file::ConfigFile, fields, initial::Initial, layers::chosen, shared::Shared, targets::Selection, torch_rng::TorchRng};

/// Every field of PEFT 0.21's `ShiraConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "fan_in_fan_out": false, "inference_mode": true, "init_weights": true,
    "mask_type": "random", "modules_to_save": null, "peft_type": "SHIRA", "r": 32, "random_seed": null, "revision": null, "target_modules": null,
    "task_type": "CAUSAL_LM"}"#;

/// The seed of a `torch.Generator` that nobody has seeded.
const TORCH_SEED: u64 = 67_280_421_310_721;
/// From so many numbers on PyTorch draws a permutation in another way.
const MOST_NUMBERS: usize = (u32::MAX / 20) as usize;

/// The method.
pub(super) struct Shira;

struct ShiraLayer {
    values: Var,
    /// Places in the flattened weight, rising.
    places: Tensor,
    shared: Arc<Shared>,
}

impl ShiraLayer {
    /// S, in the graph.
    fn update(&self, base: &Linear) -> Result<Tensor> {
        let values = (self.values.as_tensor() * self.shared.scale())?; // (k)
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
        self.shared.is_merged()
    }

    /// The base's output and the change; the zeros, what the values make of them, and its gradient, which waits until all layers are through.
    fn kept(&self, base: &Linear) -> Kept {
        Kept::per_position(2 * base.d_out()).and_per_pass(3 * base.d_in() * base.d_out())
    }
}

impl Method for Shira {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        DEFAULTS
    }

    fn config(&self, bench: &Workbench<'_>, settings: &Settings) -> std::result::Result<ConfigFile, PeftError> {
        fields::on_default_targets(&SPEC, DEFAULTS, bench, settings)
    }

    fn build(&self, bench: &Workbench<'_>, config: &ConfigFile, start: Start) -> std::result::Result<Built, PeftError> {
        if config.text("mask_type").is_some_and(|kind| kind != "random") {
            return Err(config.unsupported(format!("`mask_type` {}: its places are nowhere in the file", config.text("mask_type").unwrap_or_default())));
        }
        let (r, selection) = (config.count("r")?, Selection::read(config)?);
        let seed = config.get("random_seed").and_then(serde_json::Value::as_u64).unwrap_or(TORCH_SEED);
        let layers = chosen(bench, &selection, start)?;
        let shared = Arc::new(Shared::new());
        let mut parts = Vec::new();
        for linear in &layers {
            let places = places(linear, r, seed)?;
            let values = Initial::of(linear, bench.seed).full(0.0, &[places.len()])?;
            let places = Tensor::new(places, values.device())?;
            let adapter = Arc::new(ShiraLayer { values: values.clone(), places, shared: shared.clone() });
            parts.push(Part::linear(linear, adapter, vec![("shira_weight", values)]));
        }
        let settings = fields::to_settings(&SPEC, config, &["r"], &selection, bench.model, &layers);
        Ok(Built::new(settings, parts, shared))
    }
}

/// Which numbers of the layer's weight are trained, rising.
fn places(linear: &Linear, r: usize, seed: u64) -> std::result::Result<Vec<u32>, PeftError> {
    let (sides, all) = (linear.d_in() + linear.d_out(), linear.d_in() * linear.d_out());
    let wanted = r * sides;
    if wanted > all {
        let problem = format!("r = {r} means {wanted} numbers in `{}`, which has {all}", linear.path());
        return Err(PeftError::refused("peft::rank_too_large", problem, format!("at most r = {}", all / sides)));
    }
    if all >= MOST_NUMBERS {
        let problem = format!("`{}` has {all} numbers; SHiRA's places are drawn from at most {MOST_NUMBERS}", linear.path());
        return Err(PeftError::refused("peft::layer_too_large", problem, "leave that layer out of target_modules"));
    }
    // torch takes the lower half of the seed.
    let mut places = TorchRng::new(seed as u32).permutation(all as u32, wanted);
    places.sort_unstable();
    Ok(places)
}
