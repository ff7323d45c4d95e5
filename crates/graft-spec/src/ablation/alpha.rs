//! How `lora_alpha` depends on the rank in a grid.

use super::{Axis, Trial};
use crate::{Value, methods::MethodSpec};

/// `lora_alpha / r` in a grid over the rank that does not set alpha.
const ALPHA_PER_RANK: f64 = 2.0;

/// How alpha depends on the rank.
#[derive(Clone, Copy)]
pub(super) enum Alpha {
    /// Alpha is not in the line.
    Unset,
    /// `alpha=2r`.
    PerRank(f64),
    /// A number, or `fixed`: the same alpha for all ranks, so the scale decreases with the rank.
    AsGiven,
}

pub(super) fn is_alpha(key: &str) -> bool {
    matches!(key, "lora_alpha" | "alpha")
}

/// Parses `2r`, `r` or `fixed`.
pub(super) fn policy(value: &str) -> Option<Alpha> {
    if value == "fixed" {
        return Some(Alpha::AsGiven);
    }
    match value.strip_suffix('r')? {
        "" => Some(Alpha::PerRank(1.0)),
        factor => factor
            .parse()
            .ok()
            .filter(|factor: &f64| *factor > 0.0 && factor.is_finite())
            .map(Alpha::PerRank),
    }
}

/// Sets alpha according to the rank, if alpha depends on it.
pub(super) fn scale(spec: &MethodSpec, trial: &mut Trial, alpha: Alpha, rank_varies: bool) {
    let per_rank = match alpha {
        Alpha::PerRank(factor) => factor,
        Alpha::Unset if rank_varies => ALPHA_PER_RANK,
        Alpha::Unset | Alpha::AsGiven => return,
    };
    let name = spec.keys.iter().map(|key| key.name).find(|name| is_alpha(name));
    if let (Some(name), Some(rank)) = (name, trial.settings.integer(spec.keys, "r")) {
        trial.settings.set(name, Value::Float(per_rank * rank as f64));
    }
}

/// Describes how alpha depends on the rank, if the rank varies.
pub(super) fn scaling(axes: &[Axis<'_>], alpha: Alpha) -> Option<String> {
    let rank_varies = axes.iter().any(|axis| axis.varies() && matches!(axis.name, "r" | "rank"));
    match alpha {
        Alpha::PerRank(factor) => {
            Some(format!("alpha = {factor}r: the scale alpha/r is the same at every rank"))
        }
        Alpha::Unset if rank_varies => Some(format!(
            "alpha was not given, so alpha = {ALPHA_PER_RANK}r: the scale alpha/r is the same at every rank (alpha=fixed keeps the default)"
        )),
        Alpha::AsGiven if rank_varies => Some(
            "alpha does not depend on the rank, so the scale alpha/r differs between rows"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Changes alpha in proportion to the rank.
pub(super) fn keep_scale(spec: &MethodSpec, original: &Trial, trial: &mut Trial) {
    let alpha = spec.keys.iter().map(|key| key.name).find(|name| is_alpha(name));
    let [before, after] =
        [&original.settings, &trial.settings].map(|settings| settings.integer(spec.keys, "r"));
    if let (Some(alpha), Some(before), Some(after)) = (alpha, before, after)
        && before != after
        && let Some(old) =
            trial.settings.values.get(alpha).and_then(|_| trial.settings.float(spec.keys, alpha))
    {
        trial.settings.set(alpha, Value::Float(old * after as f64 / before as f64));
    }
}
