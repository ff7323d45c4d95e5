//! Scores of the base and the adapter.

use std::fmt;

use graft_protocol::Block;
use graft_session::verbs::eval::Scores;

use crate::{Show, Shown, lab, plain};

/// The adapter in use beside the untuned base and the majority class.
#[derive(Clone, PartialEq)]
pub struct Evaluation {
    scores: Scores,
}

/// Scores of one model on one split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean loss per label token, nats.
    pub loss: f64,
    /// `exp(loss)`.
    pub perplexity: f64,
    /// Share of examples whose label scored highest, for text with labels.
    pub accuracy: Option<f64>,
    /// Examples scored.
    pub examples: usize,
}

impl Evaluation {
    pub(crate) fn new(scores: Scores) -> Self {
        Self { scores }
    }

    /// The untuned base, unless it was not asked for.
    pub fn base(&self) -> Option<Score> {
        self.scores.base.as_ref().map(score)
    }

    /// The adapter in use, when there is one.
    pub fn adapter(&self) -> Option<Score> {
        self.scores.adapter.as_ref().map(|(_, _, evaluation)| score(evaluation))
    }

    /// Accuracy of always answering the commonest label, for text with labels.
    pub fn majority(&self) -> Option<f64> {
        let adapter = self.scores.adapter.as_ref().map(|(_, _, evaluation)| evaluation);
        self.scores.base.as_ref().or(adapter)?.majority
    }

    /// Loss of the adapter, or of the base where none is in use.
    pub fn loss(&self) -> f64 {
        self.adapter().or(self.base()).map_or(f64::NAN, |score| score.loss)
    }

    /// Accuracy of the adapter, or of the base where none is in use, for text with labels.
    pub fn accuracy(&self) -> Option<f64> {
        self.adapter().or(self.base())?.accuracy
    }

    /// Shows itself: evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
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
        f.write_str(&plain::table(&self.scores.table()))
    }
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
