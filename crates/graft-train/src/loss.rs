//! The loss of a micro-batch.

use graft_nn::{Context, DType, Model, Tensor, ops};

use crate::batch::Batch;
use crate::callbacks::Callbacks;
use crate::packed_forward::{ForwardPass, forward_pass};
use crate::{Result, TrainError, gather};

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
    let ForwardPass { states, virtual_tokens, starts, last, cx } = forward_pass(model, batch, cx)?;
    if !batch.classes.is_empty() {
        let logits = model.class_logits(&states, &last, &cx)?; // (B, labels)
        let smoothing = cx.label_smoothing;
        return Ok(ops::smoothed_cross_entropy(&logits, &batch.classes, normalizer, smoothing)?);
    }
    let (positions, labels) = batch.targets(virtual_tokens, &starts);
    let states = gather::rows(&states.flatten(0, 1)?, &positions)?; // (L, C)
    Ok(model.label_loss(&states, &labels, normalizer, &cx)?)
}

/// The loss that the user's code computes from the logits of all labels of a batch.
///
/// # Shapes
/// `batch.ids: (B, T)` -> scalar
/// # Errors
/// [`TrainError::Callback`] when the code fails or returns a tensor of another shape, and errors of
/// the model.
pub(crate) fn own_loss(
    model: &dyn Model,
    batch: &Batch,
    cx: &Context,
    normalizer: f64,
    callbacks: &dyn Callbacks,
) -> Result<Tensor> {
    let ForwardPass { states, virtual_tokens, starts, last, cx } = forward_pass(model, batch, cx)?;
    let (logits, labels) = if batch.classes.is_empty() {
        let (positions, labels) = batch.targets(virtual_tokens, &starts);
        let states = gather::rows(&states.flatten(0, 1)?, &positions)?; // (L, C)
        (model.head(&states, &cx)?, labels) // (L, V)
    } else {
        (model.class_logits(&states, &last, &cx)?, batch.classes.clone()) // (B, labels)
    };
    let count = labels.len();
    if count == 0 {
        // Zero with a gradient of zeros.
        return Ok((&logits * logits.zeros_like()?)?.sum_all()?);
    }
    let ids = labels.into_iter().map(|label| u32::try_from(label).unwrap_or(0)).collect();
    let labels = Tensor::from_vec::<_, u32>(ids, count, logits.device())?; // (L)
    let failed = |problem: String| TrainError::Callback { what: "the loss", problem };
    let losses = callbacks.loss(&logits, &labels).map_err(failed)?;
    if losses.dims() != [count] && losses.rank() != 0 {
        return Err(failed(format!(
            "it returned a tensor of shape {:?} for {count} labels",
            losses.dims()
        )));
    }
    Ok((losses.to_dtype(DType::F32)?.sum_all()? * (1.0 / normalizer))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{drawn, training_goldens};

    #[test]
    fn label_smoothing_equals_transformers() {
        let golden = &training_goldens()["label_smoothing"];
        let labels: Vec<i64> = golden["labels"]
            .as_array()
            .expect("labels")
            .iter()
            .map(|label| label.as_i64().expect("a label"))
            .collect();
        let logits = (drawn(7, &[4, 5]) * 3.0).expect("logits");
        let epsilon = golden["epsilon"].as_f64().expect("a number");
        let counted = labels.iter().filter(|label| **label != ops::IGNORED).count() as f64;
        let loss = ops::smoothed_cross_entropy(&logits, &labels, counted, epsilon)
            .and_then(|loss| Ok(loss.to_scalar::<f32>()?))
            .expect("a loss");
        let expected = golden["loss"].as_f64().expect("a loss");
        assert!((f64::from(loss) - expected).abs() < 1e-6, "{loss} instead of {expected}");
    }
}
