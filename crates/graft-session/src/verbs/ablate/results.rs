//! The results of a comparison.

use graft_protocol::Cell;
use graft_spec::{
    Failure,
    ablation::{Ablation, Trial},
    methods,
    training::TRAIN,
};
use graft_train::{Evaluation, runs::TrialRecord};

use super::statistics::mean;
use crate::{CommandContext, verbs::domain::Domain};

/// A comparison, finished or stopped.
pub(super) struct ComparisonResults<'a> {
    pub(super) trials: Vec<TrialResults>,
    /// The untuned base on the data.
    pub(super) base: Evaluation,
    pub(super) grid: &'a Ablation,
    /// Name of the data.
    pub(super) data: String,
    /// The untuned base on its own domain.
    pub(super) domain: Option<DomainBase>,
}

/// The untuned base on its own domain.
#[derive(Clone, Default)]
pub(super) struct DomainBase {
    /// Name of the data set.
    pub(super) name: String,
    /// Loss in nats per token.
    pub(super) loss: f64,
}

/// One configuration and the results of its training runs, by seed.
pub(super) struct TrialResults {
    pub(super) label: String,
    /// `lora_alpha / r`, if the method has both.
    pub(super) scale: Option<f64>,
    /// The learning rate, if given.
    pub(super) rate: Option<f64>,
    pub(super) results: Vec<Result<TrialRecord, Failure>>,
}

/// The compared quantity: accuracy if the data has labels, else the loss.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) has_labels: bool,
}

impl DomainBase {
    /// Measures the model on its own domain.
    ///
    /// # Errors
    /// Those of [`Domain::loss`].
    pub(super) fn measure(cx: &CommandContext, domain: &Domain) -> Result<Self, Failure> {
        let loss = domain.loss(cx, "the base")?;
        Ok(Self { name: domain.data.dataset.name.clone(), loss })
    }
}

impl ComparisonResults<'_> {
    /// The failure to report when no training run succeeded.
    pub(super) fn first_failure(&self) -> Option<Failure> {
        let results = || self.trials.iter().flat_map(|trial| &trial.results);
        if results().any(Result::is_ok) {
            return None;
        }
        results().find_map(|result| result.clone().err())
    }

    /// Number of training runs that are finished or have failed.
    pub(super) fn done(&self) -> u64 {
        self.trials.iter().map(|trial| trial.results.len() as u64).sum()
    }

    /// `1 seed`, `3 seeds`.
    pub(super) fn seeds_text(&self) -> String {
        match self.grid.seeds() {
            1 => "1 seed".to_owned(),
            seeds => format!("{seeds} seeds"),
        }
    }
}

impl TrialResults {
    /// A trial without results.
    pub(super) fn new(trial: &Trial) -> Self {
        Self {
            label: trial.label.clone(),
            scale: scale(trial),
            rate: trial.train.float(TRAIN, "lr"),
            results: Vec::new(),
        }
    }

    /// Whether it failed or was stopped early, so that no other seed is trained.
    pub(super) fn is_over(&self) -> bool {
        self.results
            .iter()
            .any(|result| result.as_ref().map_or(true, |record| record.stopped.is_some()))
    }

    /// The learning rate that `lr=auto` has chosen.
    pub(super) fn lr(&self) -> Option<f64> {
        self.results.iter().find_map(|result| result.as_ref().ok()?.lr)
    }

    /// The records of the training runs that succeeded.
    pub(super) fn records(&self) -> Vec<&TrialRecord> {
        self.results.iter().filter_map(|result| result.as_ref().ok()).collect()
    }

    /// The metric of every training run that succeeded.
    pub(super) fn values(&self, metric: &Metric) -> Vec<f64> {
        self.records().iter().map(|record| metric.value(record)).collect()
    }

    /// The mean of the metric over the seeds; NaN without any.
    pub(super) fn mean(&self, metric: &Metric) -> f64 {
        mean(&self.values(metric))
    }

    /// Rise of the loss on the base's own domain above `before` for every seed, in nats per token.
    pub(super) fn forgotten(&self, before: f64) -> Vec<f64> {
        self.records().iter().filter_map(|record| Some(record.domain.last()?.1 - before)).collect()
    }

    /// `done`, `2 of 3 done`, `stopped early at step 25`, `1 of 3 failed: ...`.
    pub(super) fn status(&self, seeds: u64) -> String {
        if let Some(step) = self.records().iter().find_map(|record| record.stopped) {
            return stopped_early(step);
        }
        match self.results.iter().find_map(|result| result.as_ref().err()) {
            Some(failure) => format!(
                "{} of {seeds} failed: {}",
                self.results.len() - self.records().len(),
                failure.message
            ),
            None if (self.results.len() as u64) < seeds => {
                format!("{} of {seeds} done", self.results.len())
            }
            None => "done".to_owned(),
        }
    }

    /// Number of trainable parameters.
    pub(super) fn trainable(&self) -> u64 {
        self.records().first().map_or(0, |record| record.trainable)
    }
}

impl Metric {
    /// The metric for data on which the base was evaluated like this.
    pub(super) fn of(base: &Evaluation) -> Self {
        let has_labels = base.accuracy.is_some();
        Self { name: if has_labels { "accuracy" } else { "loss" }, has_labels }
    }

    pub(super) fn value(&self, record: &TrialRecord) -> f64 {
        if self.has_labels { record.accuracy.unwrap_or(f64::NAN) } else { record.loss }
    }

    /// The metric of an evaluation on the same kind of data.
    pub(super) fn of_evaluation(&self, found: &Evaluation) -> f64 {
        if self.has_labels { found.accuracy.unwrap_or(f64::NAN) } else { found.loss }
    }

    pub(super) fn cell(&self, value: f64) -> Cell {
        if self.has_labels { Cell::Percent(value, 1) } else { Cell::Float(value, 3) }
    }

    /// Label of an axis of a chart.
    pub(super) fn axis(&self) -> &'static str {
        if self.has_labels { "accuracy" } else { "loss, nats" }
    }

    /// Whether `one` is better than `other`.
    pub(super) fn prefers(&self, one: f64, other: f64) -> bool {
        if self.has_labels { one > other } else { one < other }
    }

    /// The better of two trials; the first one when they are equal.
    pub(super) fn better<'t>(
        &self,
        one: &'t TrialResults,
        other: &'t TrialResults,
    ) -> &'t TrialResults {
        if self.prefers(other.mean(self), one.mean(self)) { other } else { one }
    }
}

/// The status of a trial that `early=halving` or `%trial stop` has stopped.
pub(super) fn stopped_early(step: u64) -> String {
    format!("stopped early at step {step}")
}

/// `lora_alpha / r` of a configuration, if its method has both.
fn scale(trial: &Trial) -> Option<f64> {
    let keys = methods::by_verb(trial.method)?.keys;
    let alpha = keys.iter().find(|key| matches!(key.name, "lora_alpha" | "alpha"))?;
    Some(trial.settings.float(keys, alpha.name)? / trial.settings.float(keys, "r")?)
}
