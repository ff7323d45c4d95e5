//! The loss of a micro-batch.

use graft_nn::{Context, Model, Tensor, ops};

use crate::batch::Batch;
use crate::packed_forward::{ForwardPass, forward_pass};
use crate::{Result, gather};

/// P: number of virtual tokens of the active soft prompts.
pub fn virtual_tokens(model: &dyn Model) -> usize {
    model.embedding().prompt().active().iter().map(|prompt| prompt.len()).sum()
}

/// Number of labels of a batch for this model.
pub fn label_count(model: &dyn Model, batch: &Batch) -> usize {
    if !batch.classes.is_empty() {
        return batch.classes.len();
    }
    let virtual_tokens = virtual_tokens(model);
    batch.targets(virtual_tokens, &batch.starts(virtual_tokens)).1.len()
}

/// The cross-entropy loss of a batch, in nats.
///
/// ```text
/// loss = sum over labels y of (-log softmax(z_y)[y]) / normalizer
/// ```
/// `z_y` are the logits of the position before the label; for a classifier, of the whole text.
///
/// With gradient accumulation, the normalizer is the number of labels of all micro-batches of a
/// step. The sum of their losses is then the mean over all labels, whatever the lengths of the
/// examples, and so is the gradient.
///
/// # Shapes
/// `batch.ids: (B, T)` -> scalar
/// # Errors
/// When the forward pass of the model fails.
pub fn loss(model: &dyn Model, batch: &Batch, cx: &Context, normalizer: f64) -> Result<Tensor> {
    let ForwardPass { states, virtual_tokens, starts, cx } = forward_pass(model, batch, cx)?;
    if !batch.classes.is_empty() {
        return Ok(ops::cross_entropy(&model.head(&states, &cx)?, &batch.classes, normalizer)?); // (B, labels)
    }
    let (positions, labels) = batch.targets(virtual_tokens, &starts);
    let states = gather::rows(&states.flatten(0, 1)?, &positions)?; // (L, C)
    Ok(model.label_loss(&states, &labels, normalizer, &cx)?)
}
