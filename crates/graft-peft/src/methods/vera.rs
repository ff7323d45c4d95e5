//! VeRA: two trained vectors per layer and random matrices that all layers share,
//! `y = W x + λ_b ∘ B (λ_d ∘ A x)`.
//!
//! `λ_b` is initialized with zeros and `λ_d` with `d_initial`.
//!
//! # Shapes
//! `A: (r, D_in)` and `B: (D_out, r)` random and frozen, for the widest input and output among the
//! targets; a layer uses the first `d_in` columns of A and the first `d_out` rows of B. `λ_d: (r)`,
//! `λ_b: (d_out)`, `x: (.., d_in)`
//! # Source
//! Kopiczko et al. 2023, arXiv:2310.11454. A and B are drawn as in HF PEFT: PyTorch's generator
//! seeded with `projection_prng_key`, `kaiming_uniform_`, A before B. Golden `vera`.

use std::sync::Arc;

use graft_nn::{
    Context, Device, Linear, LinearAdapter, Result, SavedActivations, Tensor, Var, ops,
};
use graft_spec::{
    Settings,
    methods::{MethodSpec, vera::SPEC},
};

use super::linear_layers::LinearLayers;
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    allowance::check_memory,
    config_file::ConfigFile,
    fields,
    init_source::InitSource,
    initializer::Initializer,
    method::{AdapterPart, Built, Method},
    torch_rng::TorchRng,
};

/// Every field of PEFT 0.21's `VeraConfig` with its default.
const DEFAULTS: &str = r#"{"auto_mapping": null, "base_model_name_or_path": null, "bias": "none", "d_initial": 0.1, "fan_in_fan_out": false,
    "inference_mode": true, "init_weights": true, "layers_pattern": null, "layers_to_transform": null, "modules_to_save": null,
    "peft_type": "VERA", "projection_prng_key": 0, "r": 256, "revision": null, "save_projection": true, "target_modules": null,
    "task_type": "CAUSAL_LM", "vera_dropout": 0.0}"#;

/// The method.
pub(super) struct Vera;

struct VeraLayer {
    projections: Arc<Projections>,
    lambda_b: Var,
    lambda_d: Var,
    dropout: f64,
    state: Arc<AdapterState>,
}

/// A and B, which all layers share.
struct Projections {
    a: Var,
    b: Var,
}

impl Projections {
    /// The part of A and B that a layer uses, (r, d_in) and (d_out, r), detached from the graph
    /// because they are never trained.
    fn of(&self, base: &Linear) -> Result<(Tensor, Tensor)> {
        let a = self.a.as_detached_tensor().narrow(1, 0, base.d_in())?.contiguous()?; // (r, d_in)
        Ok((a, self.b.as_detached_tensor().narrow(0, 0, base.d_out())?)) // (d_out, r)
    }
}

impl LinearAdapter for VeraLayer {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let (a, b) = self.projections.of(base)?;
        let input = match cx.mask(base.path(), self.dropout) {
            Some(mask) => {
                (x * Tensor::from_vec(mask.factors(x.elem_count()), x.dims(), x.device())?
                    .to_dtype(x.dtype())?)?
            }
            None => x.clone(),
        };
        let low = ops::linear(&input, &a)?.broadcast_mul(&self.lambda_d.to_dtype(x.dtype())?)?; // (.., r)
        let change = ops::linear(&low, &b)?.broadcast_mul(&self.lambda_b.to_dtype(x.dtype())?)?; // (.., d_out)
        Ok((base.base_forward(x)? + (change * self.state.scale())?)?)
    }

    fn delta(&self, base: &Linear) -> Result<Option<Tensor>> {
        let (a, b) = self.projections.of(base)?;
        let a = a.broadcast_mul(&self.lambda_d.as_detached_tensor().unsqueeze(1)?)?; // (r, d_in)
        let b = b.broadcast_mul(&self.lambda_b.as_detached_tensor().unsqueeze(1)?)?; // (d_out, r)
        Ok(Some((b.matmul(&a)? * self.state.scale())?)) // (d_out, d_in)
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }

    /// Both products before and after their scaling, the scaled update, and the output of the base
    /// layer; the part of A that the layer uses.
    fn saved_activations(&self, base: &Linear) -> SavedActivations {
        let r = self.lambda_d.elem_count();
        let dropped = if self.dropout > 0.0 { 2 * base.d_in() } else { 0 };
        SavedActivations::per_position(2 * r + 4 * base.d_out() + dropped)
            .and_per_pass(r * base.d_in())
    }
}

impl Method for Vera {
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
        let d_initial = config.number("d_initial")?;
        let dropout = config.probability("vera_dropout")?;
        let layers = LinearLayers::select(cx, config, init)?;
        let projections = Arc::new(projections(cx, config, r, &layers.layers)?);
        let state = layers.state.clone();
        let mut built = layers.build(&SPEC, &["r"], |linear| {
            let initializer = Initializer::of(linear, cx);
            let lambda_b = initializer.full(0.0, &[linear.d_out()])?;
            let lambda_d = initializer.full(d_initial as f32, &[r])?;
            let weights =
                vec![("vera_lambda_b", lambda_b.clone()), ("vera_lambda_d", lambda_d.clone())];
            let adapter = VeraLayer {
                projections: projections.clone(),
                lambda_b,
                lambda_d,
                dropout,
                state: state.clone(),
            };
            Ok(AdapterPart::linear(linear, Arc::new(adapter), weights))
        })?;
        if let Some(first) = built.parts.first_mut().filter(|_| config.flag("save_projection")) {
            first.constants = [("A", &projections.a), ("B", &projections.b)]
                .map(|(name, var)| (format!("base_model.vera_{name}"), var.clone()))
                .to_vec();
        }
        Ok(built)
    }
}

/// A and B for the widest layers.
fn projections(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    r: usize,
    layers: &[&Linear],
) -> std::result::Result<Projections, PeftError> {
    let width =
        |of: fn(&Linear) -> usize| layers.iter().map(|linear| of(linear)).max().unwrap_or(1);
    let (widest_in, widest_out) = (width(Linear::d_in), width(Linear::d_out));
    let key = config.get("projection_prng_key").and_then(serde_json::Value::as_u64);
    let key = key
        .filter(|key| *key < 1 << 32)
        .ok_or_else(|| config.invalid("projection_prng_key", "a seed below 2^32"))?;
    let device =
        layers.first().map_or(Device::Cpu, |linear| linear.weight().tensor().device().clone());
    for (name, shape) in [("vera_A", [r, widest_in]), ("vera_B", [widest_out, r])] {
        // If the file does not contain them, its size does not limit theirs.
        if config.flag("save_projection") {
            cx.reserve(name, "base_model", &shape)?
        } else {
            check_memory(&device, name, "base_model", &shape)?
        }
    }
    let mut random = TorchRng::new(key as u32);
    // `kaiming_uniform_` with its default gain of sqrt 2: bound sqrt(3) sqrt(2 / columns).
    let mut draw = |rows: usize, columns: usize| {
        let bound = (6.0 / columns as f64).sqrt();
        Ok::<_, PeftError>(Var::from_tensor(&Tensor::from_vec(
            random.uniform(-bound, bound, rows * columns),
            (rows, columns),
            &device,
        )?)?)
    };
    Ok(Projections { a: draw(r, widest_in)?, b: draw(widest_out, r)? }) // (r, D_in), (D_out, r)
}
