//! The result of an evaluation.

use std::fmt;

use graft_protocol::Block;
use graft_session::verbs::eval::{Measured, Scores};

use crate::{Show, Shown, lab, plain};

/// Scores of the active adapter, the base model and the majority class on one split.
#[derive(Clone, PartialEq)]
pub struct Evaluation {
    scores: Scores,
}

/// Scores of one model on one split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean loss per label token, in nats.
    pub loss: f64,
    /// `exp(loss)`.
    pub perplexity: f64,
    /// Fraction of examples whose label scored highest, for text with labels.
    pub accuracy: Option<f64>,
    /// Number of examples.
    pub examples: usize,
}

/// A metric with its 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The value: BLEU and chrF from 0 to 100, other built-in metrics from 0 to 1.
    pub value: f64,
    /// Lower end of the interval; the value itself for fewer than two examples.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Evaluation {
    pub(crate) fn new(scores: Scores) -> Self {
        Self { scores }
    }

    /// The score of the base model, unless [`Eval::base`](crate::Eval::base) was false.
    pub fn base(&self) -> Option<Score> {
        self.scores.base.as_ref().map(score)
    }

    /// The score of the active adapter, if there is one.
    pub fn adapter(&self) -> Option<Score> {
        self.scores.adapter.as_ref().map(|(_, _, evaluation)| score(evaluation))
    }

    /// Accuracy of always predicting the most frequent label of the examples, for text with labels.
    pub fn majority(&self) -> Option<f64> {
        let adapter = self.scores.adapter.as_ref().map(|(_, _, evaluation)| evaluation);
        self.scores.base.as_ref().or(adapter)?.majority
    }

    /// The loss of the active adapter, or of the base without one.
    pub fn loss(&self) -> f64 {
        self.adapter().or(self.base()).map_or(f64::NAN, |score| score.loss)
    }

    /// The accuracy of the active adapter, or of the base without one, for text with labels.
    pub fn accuracy(&self) -> Option<f64> {
        self.adapter().or(self.base())?.accuracy
    }

    /// A metric of [`Eval::metric`](crate::Eval::metric) for the active adapter, or for the base
    /// without one. The names are those of the table, such as `rouge1`.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        let metrics = self.scores.metrics.as_ref()?;
        metric(metrics.adapter.as_ref().or(metrics.base.as_ref())?, name)
    }

    /// A metric of [`Eval::metric`](crate::Eval::metric) for the base model.
    pub fn base_metric(&self, name: &str) -> Option<Metric> {
        metric(self.scores.metrics.as_ref()?.base.as_ref()?, name)
    }

    /// Shows the confusion matrix, if a metric of classes was computed.
    pub fn show_confusion(&self) {
        if let Some(matrix) = self.scores.confusion() {
            lab().emit(graft_protocol::Event::Block(Block::Confusion(matrix)));
        }
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

fn metric(measured: &Measured, name: &str) -> Option<Metric> {
    let found = measured.scores.iter().find(|score| score.metric == name)?;
    let (low, high) =
        found.interval.map_or((found.value, found.value), |interval| (interval.low, interval.high));
    Some(Metric { value: found.value, low, high })
}

fn score(evaluation: &graft_train::Evaluation) -> Score {
    let graft_train::Evaluation { loss, perplexity, accuracy, examples, .. } = evaluation;
    Score {
        loss: *loss,
        perplexity: *perplexity,
        accuracy: *accuracy,
        examples: *examples as usize,
    }
}

impl Show for Evaluation {
    fn shown(&self) -> Shown {
        Shown::Block(Block::Table(self.scores.table()))
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain::table(&self.scores.table()))?;
        match self.scores.confusion() {
            Some(matrix) => write!(f, "\n\n{}", plain::confusion(&matrix)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
