//! The results of a comparison.

use graft_metrics::{Scale, Score};
use graft_protocol::Cell;
use graft_spec::{
    Failure,
    ablation::{Ablation, Trial},
    methods,
    training::TRAIN,
};
use graft_train::{
    Evaluation,
    runs::{MetricValue, TrialRecord},
};

use super::statistics::mean;
use crate::{CommandContext, verbs::domain::Domain};

/// A comparison, finished or stopped.
pub(super) struct ComparisonResults<'a> {
    pub(super) trials: Vec<TrialResults>,
    /// The untuned base on the data.
    pub(super) base: Scored,
    /// The compared quantity.
    pub(super) metric: Metric,
    pub(super) grid: &'a Ablation,
    /// Name of the data.
    pub(super) data: String,
    /// The untuned base on its own domain.
    pub(super) domain: Option<DomainBase>,
}

/// The scores of a model on the data.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) evaluation: Evaluation,
    /// The metrics of the key `metric`.
    pub(super) metrics: Vec<Score>,
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

/// The compared quantity.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) name: String,
    kind: MetricKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetricKind {
    Loss,
    /// The accuracy on data with labels.
    Accuracy,
    /// A metric of the key `metric`.
    Named(Scale),
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
    /// The metric of that name or, without a name, the accuracy for data with labels and the loss
    /// for other data. `base` are the scores of the base on this data.
    pub(super) fn of(base: &Scored, name: Option<&str>) -> Self {
        let named = name.and_then(|name| base.metrics.iter().find(|score| score.metric == name));
        if let Some(score) = named {
            return Self { name: score.metric.clone(), kind: MetricKind::Named(score.scale) };
        }
        if base.evaluation.accuracy.is_some() && name.is_none() {
            return Self { name: "accuracy".to_owned(), kind: MetricKind::Accuracy };
        }
        Self { name: "loss".to_owned(), kind: MetricKind::Loss }
    }

    /// Whether it is a metric of the key `metric`.
    pub(super) fn is_named(&self) -> bool {
        matches!(self.kind, MetricKind::Named(_))
    }

    pub(super) fn value(&self, record: &TrialRecord) -> f64 {
        let named = || record.metrics.iter().find(|found| found.metric == self.name);
        match self.kind {
            MetricKind::Loss => record.loss,
            MetricKind::Accuracy => record.accuracy.unwrap_or(f64::NAN),
            MetricKind::Named(_) => named().map_or(f64::NAN, |found| found.value),
        }
    }

    /// The metric of other scores on the same kind of data.
    pub(super) fn of_scored(&self, found: &Scored) -> f64 {
        let named = || found.metrics.iter().find(|score| score.metric == self.name);
        match self.kind {
            MetricKind::Loss => found.evaluation.loss,
            MetricKind::Accuracy => found.evaluation.accuracy.unwrap_or(f64::NAN),
            MetricKind::Named(_) => named().map_or(f64::NAN, |score| score.value),
        }
    }

    pub(super) fn cell(&self, value: f64) -> Cell {
        match self.kind {
            MetricKind::Loss | MetricKind::Named(Scale::Number) => Cell::Float(value, 3),
            MetricKind::Accuracy | MetricKind::Named(Scale::Share) => Cell::Percent(value, 1),
            MetricKind::Named(Scale::Points) => Cell::Float(value, 1),
        }
    }

    /// Label of an axis of a chart.
    pub(super) fn axis(&self) -> &str {
        if self.kind == MetricKind::Loss { "loss, nats" } else { &self.name }
    }

    /// Label of a column with values on held-out examples.
    pub(super) fn column(&self) -> &str {
        if self.kind == MetricKind::Loss { "held-out loss" } else { &self.name }
    }

    /// Whether no value can be better.
    pub(super) fn is_perfect(&self, value: f64) -> bool {
        match self.kind {
            MetricKind::Loss | MetricKind::Named(Scale::Number) => false,
            MetricKind::Accuracy | MetricKind::Named(Scale::Share) => value >= 1.0,
            MetricKind::Named(Scale::Points) => value >= 100.0,
        }
    }

    /// Whether `one` is better than `other`.
    pub(super) fn prefers(&self, one: f64, other: f64) -> bool {
        if self.kind == MetricKind::Loss { one < other } else { one > other }
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

/// A score as a record keeps it.
pub(super) fn recorded(score: &Score) -> MetricValue {
    let interval = score.interval.map(|interval| (interval.low, interval.high));
    MetricValue { metric: score.metric.clone(), value: score.value, interval }
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
