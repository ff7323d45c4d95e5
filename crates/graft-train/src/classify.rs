//! Classifiers: models whose head assigns a text to a class instead of predicting tokens.

mod labels;

use graft_nn::{Context, Model, Task};

use crate::Result;
use crate::batch::{Batch, Encoded};
use crate::packed_forward::forward_pass;

pub(crate) use labels::listed;
pub use labels::{LabelMap, label_map};

/// Whether the model is a classifier.
pub(crate) fn is_classifier(model: &dyn Model) -> bool {
    matches!(model.task(), Task::SequenceClassification { .. })
}

/// The result of one forward pass.
pub(crate) struct ClassScores {
    /// Sum of the losses of the examples, in nats.
    pub(crate) loss: f64,
    /// Number of correct predictions.
    pub(crate) right: u64,
    /// The predicted class of each example.
    pub(crate) classes: Vec<usize>,
}

/// Scores examples in one forward pass.
pub(crate) fn score(model: &dyn Model, examples: &[Encoded]) -> Result<ClassScores> {
    let batch = Batch::of(&examples.iter().collect::<Vec<_>>());
    let passed = forward_pass(model, &batch, &Context::eval().without_graph())?;
    let logits = model.class_logits(&passed.states, &passed.last, &passed.cx)?; // (B, labels)
    let mut scores = ClassScores { loss: 0.0, right: 0, classes: Vec::new() };
    for (row, class) in logits.to_vec2::<f32>()?.iter().zip(&batch.classes) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|logit| f64::from(logit - most).exp()).sum();
        let own = usize::try_from(*class)
            .ok()
            .and_then(|class| row.get(class))
            .copied()
            .unwrap_or(f32::NEG_INFINITY);
        scores.loss -= f64::from(own - most) - sum.ln();
        // With equal scores the first class wins, so that an untrained head is not right by chance.
        let best = (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b]));
        scores.right += u64::from(best.map(|best| best as i64) == Some(*class));
        scores.classes.push(best.unwrap_or(0));
    }
    Ok(scores)
}
