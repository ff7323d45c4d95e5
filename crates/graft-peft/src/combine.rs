//! Weighted combination: merges the updates of several adapters, `ΔW = Σ wᵢ ΔWᵢ` or a sparsified
//! form of it, into one LoRA.
//!
//! The combination is computed on the updates themselves, so adapters of different methods can be
//! combined and each counts with exactly its weight. HF PEFT's `add_weighted_adapter` differs: its
//! `linear`, `ties` and `dare_*` add the matrices A and B separately (so `(Σ Bᵢ)(Σ Aᵢ)` contains
//! products of different adapters), its `*_svd` apply the scaling twice, and the flag of rsLoRA
//! remains set on a result that is already scaled. Where these differences do not apply (`cat`),
//! the results are equal.
//!
//! # Source
//! TIES: Yadav et al. 2023, arXiv:2306.01708; DARE: Yu et al. 2023, arXiv:2311.03099

mod sparsify;

use std::{collections::BTreeMap, path::Path};

use graft_nn::{DType, Device, Linear, Rng, Tensor};
use graft_spec::{Settings, Value, combination::KEYS, methods};

use crate::{
    Adapter, AttachContext, PeftError,
    adapter::AdapterSource,
    attach::check_name,
    decomposition::singular,
    init_source::InitSource,
    layers::{leaf, linear_sites},
    method::Attachment,
    methods::by_verb,
    stored_weights,
};
use sparsify::{Majority, Sparsify};

/// Default rank of the result for methods without a rank.
const RANK: usize = 8;

/// The result of a combination.
pub struct Combined {
    /// The new adapter, which is active alone.
    pub adapter: Adapter,
    /// Fraction of the combined update's norm that the result keeps: 1 is all of it.
    pub kept: f64,
}

/// How the updates are combined.
struct Combination {
    sparsify: Sparsify,
    /// Whether the rank of the result is the sum of all ranks.
    is_exact: bool,
    rank: Option<usize>,
    rng: Rng,
}

/// Combines adapters of this model with their weights into a new LoRA named `adapter_name`. The
/// adapters are not changed.
///
/// # Errors
/// [`PeftError::NothingToCombine`] without adapters, [`PeftError::CombinationWeights`] if the
/// weights are not one finite number for each adapter, [`PeftError::CombinesMerged`],
/// [`PeftError::NotCombinable`] for an adapter with other parts than updates of linear layers, and
/// [`PeftError::InvalidName`] for an invalid name.
pub fn combine(
    cx: &AttachContext<'_>,
    adapters: &[&Adapter],
    settings: &Settings,
) -> Result<Combined, PeftError> {
    settings.check(KEYS)?;
    let name =
        settings.text(KEYS, methods::ADAPTER_NAME.name).unwrap_or_else(|| "default".to_owned());
    check_name(&name)?;
    for adapter in adapters {
        check(adapter)?;
    }
    let weights = weights(adapters, settings)?;
    let combination = Combination::read(settings, cx.seed);
    let (mut state, mut ranks, mut norms) = (BTreeMap::new(), Vec::new(), (0.0, 0.0));
    for (site, linear) in linear_sites(cx.model) {
        let Some((update, r)) = combination.update(linear, adapters, &weights)? else { continue };
        let (m, n) = update.dims2()?;
        let r = r.clamp(1, m.min(n));
        let (u, sigma, vt) = singular(&update, r)?; // (m, r), (r), (r, n)
        norms.0 += sigma.iter().map(|sigma| sigma * sigma).sum::<f64>();
        norms.1 += update.sqr()?.sum_all()?.to_scalar::<f64>()?;
        let roots =
            Tensor::from_vec(sigma.iter().map(|sigma| sigma.sqrt()).collect(), r, &Device::Cpu)?;
        let b = u.broadcast_mul(&roots)?; // (m, r)
        let a = vt.broadcast_mul(&roots.reshape((r, 1))?)?; // (r, n)
        for (key, tensor) in [("lora_A", a), ("lora_B", b)] {
            state.insert(
                format!("base_model.model.{}.{key}.weight", site.path),
                tensor.to_dtype(DType::F32)?,
            );
        }
        ranks.push((site.path.to_owned(), r));
    }
    let adapter = lora(cx, &name, &ranks, &state)?;
    adapter.install(cx.model);
    let kept = if norms.1 > 0.0 { (norms.0 / norms.1).sqrt().min(1.0) } else { 1.0 };
    Ok(Combined { adapter, kept })
}

/// Builds the LoRA with these ranks and weights; its scaling is 1.
fn lora(
    cx: &AttachContext<'_>,
    name: &str,
    ranks: &[(String, usize)],
    state: &BTreeMap<String, Tensor>,
) -> Result<Adapter, PeftError> {
    let Some(method) = by_verb("lora") else { return Err(nothing()) };
    let r = ranks.iter().map(|(_, r)| *r).max().ok_or_else(nothing)?;
    let integer = Value::Integer(i64::try_from(r).unwrap_or(i64::MAX));
    let settings = Settings::default()
        .with("r", integer)
        .with("lora_alpha", Value::Float(r as f64))
        .with("target_modules", Value::List(targets(cx, ranks)));
    let mut config = method.config(cx, &settings)?;
    config.set("task_type", cx.model.task().as_str().into());
    let others: serde_json::Map<_, _> = ranks
        .iter()
        .filter(|(_, rank)| *rank != r)
        .map(|(path, rank)| (path.clone(), (*rank).into()))
        .collect();
    for field in ["rank_pattern", "alpha_pattern"] {
        config.set(field, others.clone().into());
    }
    let built = method.build(cx, &config, InitSource::Checkpoint)?;
    stored_weights::fill(&built.parts, state, Path::new("the combination"))?;
    Ok(Adapter::new(name.to_owned(), method, AdapterSource { config, built }))
}

/// The shortest names that select exactly these layers.
fn targets(cx: &AttachContext<'_>, ranks: &[(String, usize)]) -> Vec<String> {
    let mut leaves: Vec<String> = Vec::new();
    for (path, _) in ranks {
        if !leaves.iter().any(|known| known == leaf(path)) {
            leaves.push(leaf(path).to_owned());
        }
    }
    let matched = linear_sites(cx.model)
        .iter()
        .filter(|(site, _)| leaves.iter().any(|known| known == leaf(site.path)))
        .count();
    if matched == ranks.len() {
        leaves
    } else {
        ranks.iter().map(|(path, _)| path.clone()).collect()
    }
}

impl Combination {
    fn read(settings: &Settings, seed: u64) -> Self {
        let density = settings.float(KEYS, "density").unwrap_or(0.5);
        let majority = match settings.text(KEYS, "majority_sign_method").as_deref() {
            Some("frequency") => Majority::Frequency,
            _ => Majority::Total,
        };
        let how = settings.text(KEYS, "combination_type").unwrap_or_default();
        let sparsify = match how.as_str() {
            "ties" => Sparsify::Largest { density, elect: Some(majority) },
            "magnitude_prune" => Sparsify::Largest { density, elect: None },
            "dare_ties" => Sparsify::Random { density, elect: Some(majority) },
            "dare_linear" => Sparsify::Random { density, elect: None },
            _ => Sparsify::None,
        };
        let rank = settings.integer(KEYS, "svd_rank").and_then(|rank| usize::try_from(rank).ok());
        Self {
            sparsify,
            is_exact: matches!(how.as_str(), "linear" | "cat"),
            rank,
            rng: Rng::new(seed),
        }
    }

    /// The combined update of one layer, (d_out, d_in) in f64, and the rank of its result; `None`
    /// if no adapter changes the layer.
    fn update(
        &self,
        linear: &Linear,
        adapters: &[&Adapter],
        weights: &[f64],
    ) -> Result<Option<(Tensor, usize)>, PeftError> {
        let (mut updates, mut ranks) = (Vec::new(), Vec::new());
        for (adapter, weight) in adapters.iter().zip(weights) {
            let Some((delta, rank)) = delta(adapter, linear)? else { continue };
            let delta = delta.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?; // (d_out, d_in)
            updates.push((delta, *weight));
            ranks.push(rank.unwrap_or(RANK));
        }
        if updates.is_empty() {
            return Ok(None);
        }
        let rank = self.rank.unwrap_or_else(|| {
            if self.is_exact {
                ranks.iter().sum()
            } else {
                ranks.iter().copied().max().unwrap_or(RANK)
            }
        });
        Ok(Some((self.sparsify.combine(&updates, &self.rng, linear.path())?, rank)))
    }
}

/// The update of an adapter for one layer, with its rank if it has one.
fn delta(adapter: &Adapter, linear: &Linear) -> Result<Option<(Tensor, Option<usize>)>, PeftError> {
    let Some(part) = adapter.parts().iter().find(|part| part.site == linear.path()) else {
        return Ok(None);
    };
    let Attachment::Linear(attachment) = &part.attachment else { return Ok(None) };
    let rank = part
        .weights
        .iter()
        .find(|(key, _)| key.contains(".lora_A."))
        .and_then(|(_, a)| a.dim(0).ok());
    Ok(attachment.delta(linear)?.map(|delta| (delta, rank)))
}

/// Refuses adapters whose other parts would be lost silently.
fn check(adapter: &Adapter) -> Result<(), PeftError> {
    let (name, verb) = (adapter.name(), adapter.spec().verb);
    if adapter.is_merged() {
        return Err(PeftError::CombinesMerged { adapter: name.to_owned(), verb });
    }
    match adapter.parts().iter().find(|part| !matches!(part.attachment, Attachment::Linear(_))) {
        None => Ok(()),
        Some(part) => {
            Err(PeftError::NotCombinable { adapter: name.to_owned(), path: part.site.clone() })
        }
    }
}

fn weights(adapters: &[&Adapter], settings: &Settings) -> Result<Vec<f64>, PeftError> {
    if adapters.is_empty() {
        return Err(nothing());
    }
    let Some(Value::List(words)) = settings.values.get("weights") else {
        return Ok(vec![1.0 / adapters.len() as f64; adapters.len()]);
    };
    let numbers: Option<Vec<f64>> = words
        .iter()
        .map(|word| word.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect();
    match numbers {
        Some(numbers) if numbers.len() == adapters.len() => Ok(numbers),
        _ => Err(PeftError::CombinationWeights {
            weights: words.join(","),
            adapters: adapters.len(),
        }),
    }
}

fn nothing() -> PeftError {
    PeftError::NothingToCombine
}
