//! Cross entropy, the loss of a language model.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use super::portable;
use crate::floats::{Floats, floats, is_native};
use crate::{NnError, Result, Tensor, kernel, parallel};

/// The label of a position that is ignored, as `ignore_index` in PyTorch.
pub const IGNORED: i64 = -100;

/// Cross entropy: the sum of `logsumexp(x) - x[label]` over the rows whose label is not
/// [`IGNORED`], divided by `normalizer`.
///
/// The caller passes the normalizer. For gradient accumulation it is the number of labels in all
/// micro-batches, so that the gradients add up to those of one large batch.
///
/// # Shapes
/// `logits: (N, V)`, `labels`: N, each in `0..V` or [`IGNORED`] -> scalar
/// # Errors
/// [`NnError::Shape`] if N differs, [`NnError::OutOfRange`] for a label outside the vocabulary.
pub fn cross_entropy(logits: &Tensor, labels: &[i64], normalizer: f64) -> Result<Tensor> {
    let (rows, vocab) = logits.dims2()?;
    if labels.len() != rows {
        return Err(NnError::Shape {
            what: "labels",
            expected: format!("[{rows}]"),
            found: vec![labels.len()],
        });
    }
    let counted = counted_rows(labels, vocab)?;
    if counted.is_empty() {
        // Zero with a gradient of zeros: candle's `affine` by 0 would detach it from the graph.
        return Ok((logits * logits.zeros_like()?)?.sum_all()?);
    }
    if !is_native(logits) {
        return portable::cross_entropy(logits, &counted, normalizer);
    }
    Ok(logits.contiguous()?.apply_op1(CrossEntropy {
        counted,
        normalizer,
        log_sums: OnceLock::new(),
    })?)
}

/// The gradient is computed from the logits in the backward pass; only one value per row is saved
/// until then.
struct CrossEntropy {
    counted: Vec<(u32, u32)>,
    normalizer: f64,
    /// `ln Σ exp(x)` of each row in `counted`.
    log_sums: OnceLock<Vec<f32>>,
}

impl CrossEntropy {
    fn log_sums(&self, x: &[f32], vocab: usize) -> &[f32] {
        self.log_sums.get_or_init(|| {
            let piece = parallel::rows_per_piece(vocab);
            let row =
                |(row, _): &(u32, u32)| kernel::log_sum_exp(&x[*row as usize * vocab..][..vocab]);
            parallel::map(self.counted.chunks(piece), |counted| {
                counted.iter().map(row).collect::<Vec<_>>()
            })
            .concat()
        })
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = floats(x, layout)?;
        let vocab = layout.shape().dims2()?.1;
        let losses =
            self.counted.iter().zip(self.log_sums(x, vocab)).map(|((row, label), log_sum)| {
                let picked = x[*row as usize * vocab + *label as usize];
                f64::from(log_sum - picked)
            });
        Ok((CpuStorage::F32(vec![(losses.sum::<f64>() / self.normalizer) as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        _loss: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let x = Floats::read(logits)?;
        let vocab = logits.dims2()?.1;
        let factor = (f64::from(g.to_scalar::<f32>()?) / self.normalizer) as f32;
        let mut counted = vec![None; x.len() / vocab];
        for ((row, label), log_sum) in self.counted.iter().zip(self.log_sums(&x, vocab)) {
            counted[*row as usize] = Some((*label as usize, *log_sum));
        }
        let mut dx = vec![0.0; x.len()];
        let rows = x.chunks(vocab).zip(dx.chunks_mut(vocab)).zip(counted);
        parallel::each(rows, |((x, dx), counted)| {
            if let Some((label, log_sum)) = counted {
                kernel::log_sum_exp_backward(x, log_sum, factor, dx);
                dx[label] -= factor;
            }
        });
        Tensor::from_vec(dx, logits.dims(), logits.device()).map(Some)
    }
}

/// (row, label) of the rows whose label is not [`IGNORED`].
pub(super) fn counted_rows(labels: &[i64], vocab: usize) -> Result<Vec<(u32, u32)>> {
    let counted = labels.iter().enumerate().filter(|(_, label)| **label != IGNORED);
    let place = |(row, label): (usize, &i64)| match u32::try_from(*label) {
        Ok(id) if (id as usize) < vocab => Ok((row as u32, id)),
        _ => Err(NnError::OutOfRange { what: "label", index: *label, limit: vocab }),
    };
    counted.map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, flat, normal};
    use super::*;

    #[test]
    fn ignored_rows_take_no_part_and_the_normalizer_is_the_callers() {
        let labels = [3, IGNORED, 0, 36, IGNORED];
        check("cross entropy", &[&[5, 37]], |x| cross_entropy(&(&x[0] * 5.0)?, &labels, 7.0));
    }

    #[test]
    fn uniform_logits_cost_the_logarithm_of_the_vocabulary() {
        let logits = normal("x", &[2, 37]).zeros_like().expect("zeros");
        let loss = flat(&cross_entropy(&logits, &[1, 2], 2.0).expect("works"))[0];
        assert!((loss - 37f64.ln()).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn without_any_label_the_loss_and_its_gradient_are_zero() {
        let logits = crate::Var::from_tensor(&normal("x", &[2, 3])).expect("a variable");
        let loss = cross_entropy(logits.as_tensor(), &[IGNORED; 2], 1.0).expect("works");
        let gradient = loss.backward().expect("works").remove(&logits).expect("a gradient");
        assert_eq!((flat(&loss), flat(&gradient)), (vec![0.0], vec![0.0; 6]));
    }

    #[test]
    fn a_nan_loss_stays_nan() {
        let logits = Tensor::from_vec(vec![0f32, f32::NAN, 1.0], (1, 3), &crate::Device::Cpu)
            .expect("a tensor");
        assert!(flat(&cross_entropy(&logits, &[0], 1.0).expect("works"))[0].is_nan());
    }

    #[test]
    fn a_label_outside_the_vocabulary_is_named() {
        for label in [3, -1] {
            let error = cross_entropy(&normal("x", &[1, 3]), &[label], 1.0).expect_err("refused");
            assert_eq!(error.to_string(), format!("label {label} is outside 0..3"));
        }
    }
}
