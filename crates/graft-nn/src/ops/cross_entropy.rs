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
    smoothed_cross_entropy(logits, labels, normalizer, 0.0)
}

/// [`cross_entropy`] with label smoothing: a share `smoothing` of the target is spread evenly over
/// all V classes.
///
/// ```text
/// loss of a row = logsumexp(x) - (1 - s) x[label] - s mean(x)
/// ```
/// # Shapes
/// As [`cross_entropy`].
/// # Errors
/// As [`cross_entropy`].
/// # Source
/// Szegedy et al. 2016, arXiv:1512.00567, section 7; equal to the `LabelSmoother` of transformers
pub fn smoothed_cross_entropy(
    logits: &Tensor,
    labels: &[i64],
    normalizer: f64,
    smoothing: f64,
) -> Result<Tensor> {
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
        return portable::cross_entropy(logits, &counted, normalizer, smoothing);
    }
    Ok(logits.contiguous()?.apply_op1(CrossEntropy {
        counted,
        normalizer,
        smoothing,
        log_sums: OnceLock::new(),
    })?)
}

/// The gradient is computed from the logits in the backward pass; only one value per row is saved
/// until then.
struct CrossEntropy {
    counted: Vec<(u32, u32)>,
    normalizer: f64,
    /// Share of the target that is spread over all classes.
    smoothing: f64,
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
                let x = &x[*row as usize * vocab..][..vocab];
                f64::from(log_sum - target(x, *label as usize, self.smoothing))
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
                subtract_target(dx, label, factor, self.smoothing);
            }
        });
        Tensor::from_vec(dx, logits.dims(), logits.device()).map(Some)
    }
}

/// The logit of the label, or with smoothing the mean of the logits under the smoothed target.
pub(super) fn target(logits: &[f32], label: usize, smoothing: f64) -> f32 {
    if smoothing == 0.0 {
        return logits[label];
    }
    let mean = logits.iter().map(|x| f64::from(*x)).sum::<f64>() / logits.len() as f64;
    ((1.0 - smoothing) * f64::from(logits[label]) + smoothing * mean) as f32
}

/// Subtracts the gradient of [`target`] times `factor`.
pub(super) fn subtract_target(gradient: &mut [f32], label: usize, factor: f32, smoothing: f64) {
    if smoothing == 0.0 {
        gradient[label] -= factor;
        return;
    }
    let everywhere = (f64::from(factor) * smoothing / gradient.len() as f64) as f32;
    gradient.iter_mut().for_each(|value| *value -= everywhere);
    gradient[label] -= (f64::from(factor) * (1.0 - smoothing)) as f32;
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

    /// The loss that `LabelSmoother(epsilon=0.1)` of transformers computes.
    const SMOOTHED: f64 = 1.743_711_467_805_056_3;

    #[test]
    fn ignored_rows_take_no_part_and_the_normalizer_is_the_callers() {
        let labels = [3, IGNORED, 0, 36, IGNORED];
        check("cross entropy", &[&[5, 37]], |x| cross_entropy(&(&x[0] * 5.0)?, &labels, 7.0));
    }

    #[test]
    fn the_gradient_with_label_smoothing_is_right() {
        let labels = [3, IGNORED, 0, 36, IGNORED];
        check("smoothed cross entropy", &[&[5, 37]], |x| {
            smoothed_cross_entropy(&(&x[0] * 5.0)?, &labels, 7.0, 0.2)
        });
    }

    #[test]
    fn label_smoothing_equals_transformers() {
        let logits =
            Tensor::new(&[[1f32, -0.5, 2.0], [0.0, 3.0, -1.0]], &crate::Device::Cpu).expect("x");
        let loss = flat(&smoothed_cross_entropy(&logits, &[2, 0], 2.0, 0.1).expect("works"))[0];
        assert!((loss - SMOOTHED).abs() < 1e-6, "{loss}");
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
