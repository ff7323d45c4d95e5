//! LoRA: a low-rank update beside each frozen linear map, `y = W x + s B A x`.
//!
//! # Shapes
//! `x: (.., d_in)`, `A: (r, d_in)`, `B: (d_out, r)`, `W: (d_out, d_in)` frozen; `s = lora_alpha / r`, with rsLoRA `lora_alpha / sqrt(r)`
//! # Source
//! Hu et al. 2021, arXiv:2106.09685; rsLoRA: Kalajdzievski 2023, arXiv:2312.03732. Goldens `lora`, `lora-all-linear`, `lora-mlp-regex`, `rslora`,
//! `lora-rank-pattern`, `lora-layers`.

mod config;

use std::sync::Arc;

use graft_nn::{
    Context, Linear, LinearAdapter, Model, Result, Rng, Role, Tensor, Var,
    ops::{self, LowRank},
};
use graft_protocol::{
    Settings, Value as Setting,
    methods::{MethodSpec, lora::SPEC},
};

use super::{Built, Hook, Method, Part, Start};
use crate::{
    PeftError, Workbench,
    config_file::ConfigFile,
    layers::{chosen, leaf, linear_sites},
    shared::Shared,
    targets::Targets,
};
use config::LoraConfig;

/// The method.
pub(super) struct Lora;

/// The update of one layer.
struct LoraLayer {
    a: Var,
    b: Var,
    /// `s` without the user's factor.
    scaling: f64,
    /// Probability of dropping an input of A, in training only.
    dropout: f64,
    shared: Arc<Shared>,
}

impl LinearAdapter for LoraLayer {
    fn forward(&self, base: &Linear, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let update = LowRank {
            a: self.a.as_tensor().clone(), // (r, d_in)
            b: self.b.as_tensor().clone(), // (d_out, r)
            scale: self.scaling * self.shared.scale(),
            dropout: cx.mask(base.path(), self.dropout),
        };
        let y = ops::lora_linear(x, &base.weight().tensor(), &update)?; // (.., d_out)
        match base.bias() {
            Some(bias) => ops::bias_add(&y, &bias.tensor()),
            None => Ok(y),
        }
    }

    fn delta(&self, _base: &Linear) -> Result<Option<Tensor>> {
        let product = self.b.as_detached_tensor().matmul(&self.a.as_detached_tensor())?; // (d_out, d_in)
        Ok(Some((product * (self.scaling * self.shared.scale()))?))
    }

    fn is_merged(&self) -> bool {
        self.shared.is_merged()
    }
}

impl Method for Lora {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn defaults(&self) -> &'static str {
        config::DEFAULTS
    }

    fn config(&self, bench: &Workbench<'_>, settings: &Settings) -> std::result::Result<ConfigFile, PeftError> {
        config::from_settings(bench, settings)
    }

    fn build(&self, bench: &Workbench<'_>, config: &ConfigFile, start: Start) -> std::result::Result<Built, PeftError> {
        let lora = LoraConfig::read(config)?;
        let shared = Arc::new(Shared::new());
        let layers = chosen(bench, &lora.selection, start)?;
        let mut parts = Vec::new();
        for linear in &layers {
            let (r, alpha) = lora.rank_and_alpha(linear.path())?;
            if start == Start::Fresh && r > linear.d_in().min(linear.d_out()) {
                return Err(PeftError::RankTooLarge { r, path: linear.path().to_owned(), d_in: linear.d_in(), d_out: linear.d_out() });
            }
            let scaling = if lora.use_rslora { alpha / (r as f64).sqrt() } else { alpha / r as f64 };
            let (a, b) = initial(linear, r, lora.gaussian, bench.seed)?;
            let key = |matrix: &str| format!("base_model.model.{}.lora_{matrix}.weight", linear.path());
            let weights = vec![(key("A"), a.clone()), (key("B"), b.clone())];
            let adapter = Arc::new(LoraLayer { a, b, scaling, dropout: lora.dropout, shared: shared.clone() });
            let copy = || (format!("base_model.model.{}.base_layer.weight", linear.path()), linear.weight().tensor().detach());
            let copies = (linear.role() == Role::Head).then(copy).into_iter().collect();
            parts.push(Part { site: linear.path().to_owned(), hook: Hook::Linear(adapter), weights, copies });
        }
        let warnings = lora.unmatched_patterns(&layers)?;
        Ok(Built { settings: shown(&lora, bench.model, &layers), parts, shared, warnings })
    }
}

/// A by PyTorch's `kaiming_uniform_(a = sqrt 5)`, which is uniform in ±1/sqrt(d_in), or normal with standard deviation 1/r; B zero.
fn initial(linear: &Linear, r: usize, gaussian: bool, seed: u64) -> std::result::Result<(Var, Var), PeftError> {
    let (d_in, d_out) = (linear.d_in(), linear.d_out());
    let mut stream = Rng::new(seed).stream("lora_A", linear.path());
    let bound = 1.0 / (d_in as f32).sqrt();
    let a = if gaussian { stream.normal(0.0, 1.0 / r as f32, r * d_in) } else { stream.uniform(-bound, bound, r * d_in) };
    let device = linear.weight().tensor().device().clone();
    let a = Var::from_tensor(&Tensor::from_vec(a, (r, d_in), &device)?)?; // (r, d_in)
    let b = Var::zeros((d_out, r), graft_nn::DType::F32, &device)?; // (d_out, r)
    Ok((a, b))
}

/// The keys as they turned out; targets by the shortest names that mean the same layers.
fn shown(lora: &LoraConfig, model: &dyn Model, chosen: &[&Linear]) -> Settings {
    let mut settings = Settings::default()
        .with("r", Setting::Integer(lora.r as i64))
        .with("lora_alpha", Setting::Float(lora.alpha))
        .with("target_modules", Setting::List(short_targets(lora, model, chosen)));
    if lora.dropout > 0.0 {
        settings.set("lora_dropout", Setting::Float(lora.dropout));
    }
    if lora.use_rslora {
        settings.set("use_rslora", Setting::Bool(true));
    }
    if lora.gaussian {
        settings.set("init_lora_weights", Setting::Text("gaussian".to_owned()));
    }
    settings
}

fn short_targets(lora: &LoraConfig, model: &dyn Model, chosen: &[&Linear]) -> Vec<String> {
    if let Targets::Pattern(pattern) = &lora.selection.targets {
        return vec![pattern.clone()];
    }
    let mut leaves: Vec<String> = Vec::new();
    for linear in chosen {
        let leaf = leaf(linear.path());
        if !leaves.iter().any(|known| known == leaf) {
            leaves.push(leaf.to_owned());
        }
    }
    let meant = linear_sites(model).iter().filter(|(site, _)| leaves.iter().any(|known| known == leaf(site.path))).count();
    if meant == chosen.len() { leaves } else { chosen.iter().map(|linear| linear.path().to_owned()).collect() }
}
