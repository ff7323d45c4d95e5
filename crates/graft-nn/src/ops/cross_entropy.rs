//! The loss of a language model.

use super::portable;
use crate::{NnError, Result, Tensor};

/// The label of a position that does not count.
pub const IGNORED: i64 = -100;

/// Sum over the counted rows of `logsumexp(x) - x[label]`, divided by `normalizer`.
///
/// The normalizer is the caller's: over several micro-batches it is the number of counted labels of all of them, so that the
/// gradients add up to those of one large batch.
///
/// # Shapes
/// `logits: (N, V)`, `labels`: N, each in `0..V` or [`IGNORED`] -> scalar
/// # Errors
/// [`NnError::Shape`] when N differs, [`NnError::OutOfRange`] for a label outside the vocabulary.
pub fn cross_entropy(logits: &Tensor, labels: &[i64], normalizer: f64) -> Result<Tensor> {
    let (rows, vocab) = logits.dims2()?;
    if labels.len() != rows {
        return Err(NnError::Shape { what: "labels", expected: format!("[{rows}]"), found: vec![labels.len()] });
    }
    let kept = kept(labels, vocab)?;
    if kept.is_empty() {
        return Ok((logits.sum_all()? * 0.0)?);
    }
    portable::cross_entropy(logits, &kept, normalizer)
}

/// (row, label) of the counted rows.
fn kept(labels: &[i64], vocab: usize) -> Result<Vec<(u32, u32)>> {
    let counted = labels.iter().enumerate().filter(|(_, label)| **label != IGNORED);
    let place = |(row, label): (usize, &i64)| match u32::try_from(*label) {
        Ok(id) if (id as usize) < vocab => Ok((row as u32, id)),
        _ => Err(NnError::OutOfRange { what: "label", index: *label, limit: vocab }),
    };
    counted.map(place).collect()
}
