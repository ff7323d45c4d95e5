//! EVA: A is initialized with the directions in which the inputs of a layer vary most, and layers
//! whose inputs vary in more directions get a larger share of the ranks.
//!
//! # Mathematics
//! The base model reads batches of the data. `V: (k, d_in)` are the principal components of a
//! layer's centered inputs with `k = rho r`, and `e_i` is the fraction of the variance along each.
//! The `Σ r` largest `e_i` of all layers are selected: the selected components of a layer become
//! its `A`, with `B = 0` and `lora_alpha` in proportion to the new rank. Batches are read until the
//! selected components turn by less than `arccos(tau)` from one batch to the next. A layer without
//! selected components is not adapted.
//! # Source
//! Paischer et al. 2024, arXiv:2410.07170; HF PEFT's `initialize_lora_eva_weights`, which leaves
//! reading the data to its caller and uses only tokens with a label; here all tokens are used,
//! because a completion may have fewer labeled tokens than components.

mod components;
mod input_statistics;

use std::collections::BTreeMap;

use graft_nn::{Linear, Tensor};
use serde_json::{Map, Value, json};

use super::{
    LoraConfig,
    data_init::{Chosen, DataInit},
};
use crate::{
    AttachContext, Inputs, PeftError,
    config_file::{ConfigFile, plain_number},
};
use input_statistics::{InputStatistics, Recorded};

/// The smallest cosine between a component and its previous value at which it has converged.
const TAU: f64 = 0.99;
/// Maximum number of batches.
const MAX_BATCHES: u64 = 200;

/// The field `eva_config`, HF PEFT's `EvaConfig`.
pub(super) fn eva_config(rho: f64) -> Value {
    json!({"adjust_scaling_factors": true, "label_mask_value": -100, "rho": rho, "tau": TAU, "use_label_mask": false, "whiten": false})
}

/// Reads data and computes the initialization.
///
/// # Errors
/// [`PeftError::NoData`], [`PeftError::LittleData`], [`PeftError::Malformed`] for an invalid field,
/// and errors of reading the data.
pub(super) fn find(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    lora: &LoraConfig,
    chosen: &Chosen<'_>,
) -> Result<DataInit, PeftError> {
    let layers = chosen.0.as_slice();
    let Some(inputs) = cx.inputs else {
        return Err(PeftError::NoData);
    };
    let ranks: Vec<usize> =
        layers.iter().map(|linear| lora.ranks.rank_and_scaling(linear.path()).0).collect();
    let max_components = max_components(layers, &ranks, rho(config)?);
    let statistics = InputStatistics::new(cx.model, layers, max_components.clone());
    let (batches, allocated) = read(&statistics, inputs, &max_components, &ranks)?;
    let recorded = statistics.recorded();
    let unconverged = recorded.done.iter().filter(|done| !**done).count();
    let weights = first_components(layers, &recorded, &allocated)?;
    if weights.is_empty() {
        return Err(PeftError::LittleData {
            batches,
            components: max_components.iter().copied().max().unwrap_or(0),
        });
    }
    Ok(DataInit {
        config: Some(with_ranks(config, lora, chosen, &allocated)?),
        weights,
        note: Some(note(batches, &allocated, unconverged)),
    })
}

/// The factor `rho` in the field `eva_config`.
fn rho(config: &ConfigFile) -> Result<f64, PeftError> {
    let rho = config
        .get("eva_config")
        .and_then(|eva| eva.get("rho"))
        .map_or(Some(2.0), Value::as_f64)
        .filter(|rho| *rho >= 1.0);
    rho.ok_or_else(|| config.invalid("eva_config", "an object with a `rho` of at least 1"))
}

/// The number of components of each layer that compete for the ranks.
fn max_components(layers: &[&Linear], ranks: &[usize], rho: f64) -> Vec<usize> {
    let largest = |r: usize| (r as f64 * rho).round() as usize;
    layers
        .iter()
        .zip(ranks)
        .map(|(linear, r)| largest(*r).min(linear.d_in()).min(linear.d_out()))
        .collect()
}

/// A of each layer that has a rank, by path.
fn first_components(
    layers: &[&Linear],
    recorded: &Recorded,
    allocated: &[usize],
) -> Result<BTreeMap<String, (Tensor, Option<Tensor>)>, PeftError> {
    let mut weights = BTreeMap::new();
    for (layer, linear) in layers.iter().enumerate().filter(|(layer, _)| allocated[*layer] > 0) {
        let components = recorded.groups[layer].and_then(|group| recorded.components.get(group));
        if let Some(first) =
            components.map(|components| components.first(allocated[layer])).transpose()?.flatten()
        {
            weights.insert(linear.path().to_owned(), (first, None));
        }
    }
    Ok(weights)
}

/// Describes the search to the user.
fn note(batches: u64, allocated: &[usize], unconverged: usize) -> String {
    let (least, largest) =
        (allocated.iter().min().unwrap_or(&0), allocated.iter().max().unwrap_or(&0));
    let mut note =
        format!("EVA read {batches} batches of the data: ranks from {least} to {largest}");
    if unconverged > 0 {
        note.push_str(&format!("; the components of {unconverged} inputs had not converged"));
    }
    note
}

/// Reads batches until the selected components have converged. Returns the number of batches and
/// the rank of each layer.
fn read(
    statistics: &InputStatistics<'_>,
    inputs: &dyn Inputs,
    max_components: &[usize],
    requested: &[usize],
) -> Result<(u64, Vec<usize>), PeftError> {
    let mut ranks = max_components.to_vec();
    for batch in 0..MAX_BATCHES {
        statistics.pass(&inputs.batch(batch)?)?;
        let mut recorded = statistics.recorded();
        if recorded.components.iter().all(|components| components.variance_fractions().count() > 0)
        {
            ranks = allocate_ranks(&recorded, max_components, requested);
        }
        for group in 0..recorded.components.len() {
            let of_group =
                recorded.groups.iter().zip(&ranks).filter(|(own, _)| **own == Some(group));
            let count = of_group.map(|(_, rank)| *rank).max().unwrap_or(0);
            recorded.done[group] = recorded.components[group].have_converged(count, TAU);
        }
        if recorded.done.iter().all(|done| *done) {
            return Ok((batch + 1, ranks));
        }
    }
    Ok((MAX_BATCHES, ranks))
}

/// Distributes the sum of the requested ranks over the largest fractions of variance in all layers;
/// of equal ones the earlier layer's is taken. A layer without input, such as a pooler, keeps its
/// own rank.
fn allocate_ranks(
    recorded: &Recorded,
    max_components: &[usize],
    requested: &[usize],
) -> Vec<usize> {
    let mut shares: Vec<(usize, f64)> = Vec::new();
    for (layer, group) in recorded.groups.iter().enumerate() {
        let components = group.and_then(|group| recorded.components.get(group));
        shares.extend(
            components
                .into_iter()
                .flat_map(|components| components.variance_fractions())
                .take(max_components[layer])
                .map(|share| (layer, share)),
        );
    }
    shares.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut ranks: Vec<usize> = recorded
        .groups
        .iter()
        .zip(requested)
        .map(|(group, requested)| if group.is_none() { *requested } else { 0 })
        .collect();
    let budget = requested.iter().sum::<usize>() - ranks.iter().sum::<usize>();
    shares.iter().take(budget).for_each(|(layer, _)| ranks[*layer] += 1);
    ranks
}

/// The fields with the rank of each layer, and with alpha in proportion to it, so that the scaling
/// does not change. Layers without a rank are removed from the targets.
fn with_ranks(
    config: &ConfigFile,
    lora: &LoraConfig,
    (layers, tables): &Chosen<'_>,
    ranks: &[usize],
) -> Result<ConfigFile, PeftError> {
    let (whole, whole_alpha) = lora.ranks.whole();
    let (mut rank_pattern, mut alpha_pattern, mut targets) = (Map::new(), Map::new(), Vec::new());
    for (linear, rank) in layers.iter().zip(ranks).filter(|(_, rank)| **rank > 0) {
        let (before, alpha) = lora.ranks.at(linear.path());
        let alpha = alpha * *rank as f64 / before as f64;
        if *rank != whole {
            rank_pattern.insert(linear.path().to_owned(), (*rank).into());
        }
        if (alpha - whole_alpha).abs() > 1e-12 {
            alpha_pattern.insert(linear.path().to_owned(), plain_number(alpha));
        }
        targets.push(linear.path().to_owned());
    }
    let mut config = config.clone();
    config.set("rank_pattern", rank_pattern.into());
    config.set("alpha_pattern", alpha_pattern.into());
    if targets.len() < layers.len() {
        targets.extend(tables.iter().map(|table| table.path().to_owned()));
        config.set("target_modules", targets.into());
    }
    Ok(config)
}
