//! The conclusion that the results of `%ablate` support, and advice when no configuration helps.

use super::{
    results::{Metric, Scored, TrialResults},
    statistics::differ,
};
use crate::verbs::advice::{LossTrend, SMALLER, rate};

/// Names the best configuration and reports whether it differs significantly from the others.
pub(super) fn conclusion(trials: &[TrialResults], metric: &Metric) -> String {
    let complete: Vec<&TrialResults> = trials.iter().filter(|trial| !trial.is_over()).collect();
    let best = complete.iter().copied().reduce(|best, trial| metric.better(best, trial));
    let Some(best) = best else {
        return "no configuration was trained with every seed".to_owned();
    };
    if complete.len() == 1 && trials.len() > 1 {
        return format!(
            "`{}` is the only one of {} configurations that was trained to the end",
            best.label,
            trials.len()
        );
    }
    if complete.len() == 1 {
        return "only one configuration: add values to compare, such as r=1,4,16".to_owned();
    }
    if best.results.len() < 2 {
        return format!(
            "`{}` has the best {}, but one seed cannot separate differences from noise: add \
             seeds=3",
            best.label, metric.name
        );
    }
    significance(&complete, best, metric)
}

/// Compares the best configuration with the others, paired by seed.
fn significance(complete: &[&TrialResults], best: &TrialResults, metric: &Metric) -> String {
    let alike: Vec<&TrialResults> = complete
        .iter()
        .copied()
        .filter(|trial| !differ(&trial.values(metric), &best.values(metric)))
        .collect();
    let smallest = alike.iter().copied().min_by_key(|trial| trial.trainable()).unwrap_or(best);
    match alike.len() {
        count if count == complete.len() => format!(
            "no significant difference in {} between the configurations; `{}` has the fewest \
             parameters",
            metric.name, smallest.label
        ),
        1 => format!(
            "`{}` has the best {}, significantly different from all others",
            best.label, metric.name
        ),
        count => format!(
            "`{}` has the best {}; {} not significantly different, and `{}` has the fewest \
             parameters of them",
            best.label,
            metric.name,
            if count == 2 { "1 other is".to_owned() } else { format!("{} others are", count - 1) },
            smallest.label
        ),
    }
}

/// Advice when no configuration is better than the base, from the loss curve of the best one.
pub(super) fn not_better(
    trials: &[TrialResults],
    metric: &Metric,
    base: &Scored,
) -> Option<String> {
    let base = metric.of_scored(base);
    let best = trials
        .iter()
        .filter(|trial| trial.mean(metric).is_finite())
        .reduce(|best, trial| metric.better(best, trial))?;
    if metric.is_perfect(base) || metric.prefers(best.mean(metric), base) {
        return None;
    }
    let record = best.records().into_iter().next()?;
    let losses: Vec<f64> = record.curve.iter().map(|(_, loss)| *loss).collect();
    let advice = match (LossTrend::of_losses(&losses), best.lr().or(best.rate)) {
        (LossTrend::Rose(..), Some(lr)) => {
            let smaller = rate(lr * SMALLER);
            format!("its training loss rose, so the learning rate is too large: try lr={smaller}")
        }
        (LossTrend::Rose(..), None) => {
            "its training loss rose, so the learning rate is too large: try a smaller lr, or \
             lr=auto"
                .to_owned()
        }
        (LossTrend::Fell(..), _) => {
            "its training loss fell, so it overfits: try fewer steps, more data, or a smaller rank"
                .to_owned()
        }
        (LossTrend::Short, _) => {
            format!("{} steps are too few to judge: try more", losses.len())
        }
        _ => "its training loss did not fall: try a larger lr, more steps, or lr=auto".to_owned(),
    };
    Some(format!(
        "no configuration is better than the untuned base; the best one is `{}`, and {advice}",
        best.label
    ))
}
