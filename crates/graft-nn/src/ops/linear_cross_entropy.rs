//! Head and cross entropy in one operation, which never stores all logits.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};

use super::cross_entropy::{counted_rows, smoothed_cross_entropy, subtract_target, target};
use super::linear::linear;
use super::width::check_width;
use crate::floats::{Floats, floats, is_native};
use crate::matrix::{Matrix, MatrixMut};
use crate::{NnError, Result, Tensor, kernel, parallel};

/// Number of logits that are in memory at once: 8 MiB, enough rows for a fast product with the
/// usual vocabularies.
const ELEMENTS: usize = 1 << 21;

/// Minimum number of rows for a fast product with W.
const MIN_ROWS: usize = 64;

/// `cross_entropy(x Wᵀ, labels, normalizer)`, computed in pieces of a few rows.
///
/// The gradient of the logits of a row depends on these logits only. So the forward pass also
/// computes the gradients of `x` (and of a trained `W`) and frees the logits: it needs the memory
/// of `x` instead of N x V, and computes nothing twice.
///
/// # Shapes
/// `x: (N, C)`, `w: (V, C)`, `labels`: N, each in `0..V` or [`super::IGNORED`] -> scalar
/// # Errors
/// [`NnError::Shape`] if N or C differ, [`NnError::OutOfRange`] for a label outside the vocabulary.
/// # Source
/// Hsu et al. 2024 (Liger Kernel), arXiv:2410.10989, section 3.2
pub fn linear_cross_entropy(
    x: &Tensor,
    w: &Tensor,
    labels: &[i64],
    normalizer: f64,
) -> Result<Tensor> {
    head_cross_entropy(x, w, labels, HeadLossSpec { normalizer, smoothing: 0.0, softcap: None })
}

/// [`linear_cross_entropy`] with label smoothing, as in [`super::smoothed_cross_entropy`], and with
/// bounded logits, as in [`super::softcap()`].
///
/// # Shapes
/// As [`linear_cross_entropy`].
/// # Errors
/// As [`linear_cross_entropy`].
pub fn head_cross_entropy(
    x: &Tensor,
    w: &Tensor,
    labels: &[i64],
    spec: HeadLossSpec,
) -> Result<Tensor> {
    let vocab = w.dims2()?.0;
    let piece = (ELEMENTS / vocab.max(1)).max(MIN_ROWS);
    in_pieces(x, w, labels, spec, piece)
}

/// How the losses of the labels are computed and become one number.
#[derive(Clone, Copy, Debug)]
pub struct HeadLossSpec {
    /// Divisor of their sum.
    pub normalizer: f64,
    /// Share of the target that is spread over all classes.
    pub smoothing: f64,
    /// Bound c of the logits, which become `c tanh(logit / c)`; `None` for unbounded logits.
    pub softcap: Option<f32>,
}

fn in_pieces(
    x: &Tensor,
    w: &Tensor,
    labels: &[i64],
    spec: HeadLossSpec,
    piece: usize,
) -> Result<Tensor> {
    let ((rows, _), (vocab, width)) = (x.dims2()?, w.dims2()?);
    check_width("states before the head", x, width)?;
    if labels.len() != rows {
        return Err(NnError::Shape {
            what: "labels",
            expected: format!("[{rows}]"),
            found: vec![labels.len()],
        });
    }
    let counted = counted_rows(labels, vocab)?;
    if !is_native(x) || counted.is_empty() {
        let HeadLossSpec { normalizer, smoothing, softcap } = spec;
        let logits = linear(x, w)?; // (N, V)
        let logits = match softcap {
            Some(cap) => super::softcap(&logits, cap)?,
            None => logits,
        };
        return smoothed_cross_entropy(&logits, labels, normalizer, smoothing);
    }
    let wanted = Wanted { states: x.track_op(), weight: w.track_op() };
    let op = HeadLoss { counted, spec, piece, wanted, gradients: Mutex::new(None) };
    let x = x.contiguous()?;
    Ok(if wanted.weight {
        x.apply_op2(&w.contiguous()?, op)?
    } else {
        x.apply_op1(FrozenHeadLoss { w: w.clone(), op })?
    })
}

/// The gradients that the forward pass must compute.
#[derive(Clone, Copy)]
struct Wanted {
    states: bool,
    weight: bool,
}

/// Gradients of the loss, without the incoming gradient as a factor.
struct HeadGradients {
    /// (N, C)
    states: Option<Vec<f32>>,
    /// (V, C)
    weight: Option<Vec<f32>>,
}

/// The operation with W in the graph.
struct HeadLoss {
    /// (row, label)
    counted: Vec<(u32, u32)>,
    spec: HeadLossSpec,
    /// Rows per piece.
    piece: usize,
    wanted: Wanted,
    /// Set by the forward pass and taken by the backward pass.
    gradients: Mutex<Option<HeadGradients>>,
}

/// The operation with a captured W.
struct FrozenHeadLoss {
    w: Tensor,
    op: HeadLoss,
}

impl HeadLoss {
    /// Computes the loss and the wanted gradients.
    fn run(&self, x: &[f32], w: &[f32], (vocab, width): (usize, usize)) -> (f64, HeadGradients) {
        let zeros = |wanted: bool, count: usize| wanted.then(|| vec![0f32; count]);
        let mut gradients = HeadGradients {
            states: zeros(self.wanted.states, x.len()),
            weight: zeros(self.wanted.weight, w.len()),
        };
        let w = Matrix::new(w, vocab, width);
        let mut logits = vec![0f32; self.piece.min(self.counted.len()) * vocab];
        let mut loss = 0.0;
        for counted in self.counted.chunks(self.piece) {
            let states = gather(x, counted, width); // (P, C)
            let states = Matrix::new(&states, counted.len(), width);
            let logits = &mut logits[..counted.len() * vocab];
            states.times(w.t()).store(&mut MatrixMut::new(logits, counted.len(), vocab)); // (P, V)
            loss += self.turn_into_gradient(logits, counted, vocab);
            let logits = Matrix::new(logits, counted.len(), vocab);
            if let Some(dw) = &mut gradients.weight {
                logits.t().times(states).add_to(&mut MatrixMut::new(dw, vocab, width)); // (V, C)
            }
            if let Some(dx) = &mut gradients.states {
                let rows = logits.times(w).collect(); // (P, C)
                for ((row, _), values) in counted.iter().zip(rows.chunks(width)) {
                    dx[*row as usize * width..][..width].copy_from_slice(values);
                }
            }
        }
        (loss / self.spec.normalizer, gradients)
    }

    /// The sum of the losses of some rows of logits. The logits are replaced by their gradient if
    /// one is wanted.
    fn turn_into_gradient(&self, logits: &mut [f32], counted: &[(u32, u32)], vocab: usize) -> f64 {
        let HeadLossSpec { normalizer, smoothing, softcap } = self.spec;
        let factor = (1.0 / normalizer) as f32;
        let wanted = self.wanted.states || self.wanted.weight;
        let losses =
            parallel::map(logits.chunks_mut(vocab).zip(counted), |(logits, (_, label))| {
                let label = *label as usize;
                let mut slopes = Vec::new();
                if let Some(cap) = softcap {
                    slopes = vec![0.0; vocab];
                    kernel::softcap(logits, cap, &mut slopes);
                }
                let log_sum = kernel::log_sum_exp(logits);
                let loss = f64::from(log_sum - target(logits, label, smoothing));
                if wanted {
                    kernel::log_sum_exp_gradient(logits, log_sum, factor);
                    subtract_target(logits, label, factor, smoothing);
                    logits.iter_mut().zip(&slopes).for_each(|(gradient, slope)| *gradient *= slope);
                }
                loss
            });
        losses.iter().sum()
    }

    fn forward(&self, x: &[f32], w: &[f32], sizes: (usize, usize)) -> (CpuStorage, Shape) {
        let (loss, gradients) = self.run(x, w, sizes);
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradients);
        (CpuStorage::F32(vec![loss as f32]), Shape::from(()))
    }

    /// The gradients times `g`; computed again if an earlier backward pass has taken them.
    fn backward(
        &self,
        x: &Tensor,
        w: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let ready = self.gradients.lock().unwrap_or_else(PoisonError::into_inner).take();
        let HeadGradients { states, weight } = match ready {
            Some(gradients) => gradients,
            None => self.run(&Floats::read(x)?, &Floats::read(w)?, w.dims2()?).1,
        };
        let factor = f64::from(g.to_scalar::<f32>()?);
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            let Some(values) = values else { return Ok(None) };
            let tensor = Tensor::from_vec(values, like.dims(), like.device())?;
            if factor == 1.0 { Ok(Some(tensor)) } else { (tensor * factor).map(Some) }
        };
        Ok((tensor(states, x)?, tensor(weight, w)?))
    }
}

/// The counted rows of `x`, concatenated.
fn gather(x: &[f32], counted: &[(u32, u32)], width: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(counted.len() * width);
    for (row, _) in counted {
        rows.extend_from_slice(&x[*row as usize * width..][..width]);
    }
    rows
}

impl CustomOp1 for FrozenHeadLoss {
    fn name(&self) -> &'static str {
        "linear-cross-entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok(self.op.forward(floats(x, layout)?, &Floats::read(&self.w)?, self.w.dims2()?))
    }

    fn bwd(&self, x: &Tensor, _loss: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(self.op.backward(x, &self.w, g)?.0)
    }
}

impl CustomOp2 for HeadLoss {
    fn name(&self) -> &'static str {
        "linear-cross-entropy-trained"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok(self.forward(floats(x, x_layout)?, floats(w, w_layout)?, w_layout.shape().dims2()?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _loss: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, w, g)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_close, check, flat, normal};
    use super::super::{IGNORED, cross_entropy};
    use super::*;
    use crate::{DType, Var};

    const LABELS: [i64; 7] = [3, IGNORED, 0, 36, 5, IGNORED, 12];
    const PLAIN: HeadLossSpec = HeadLossSpec { normalizer: 4.0, smoothing: 0.0, softcap: None };
    const SMOOTHED: HeadLossSpec = HeadLossSpec { normalizer: 3.0, smoothing: 0.3, softcap: None };

    #[test]
    fn label_smoothing_is_that_of_the_loss_of_all_logits() {
        let (x, w) = (normal("x", &[7, 5]), normal("w", &[37, 5]));
        let logits = linear(&x, &w).expect("logits");
        assert_close(
            "smoothed head loss",
            &flat(&head_cross_entropy(&x, &w, &LABELS, SMOOTHED).expect("works")),
            &flat(&smoothed_cross_entropy(&logits, &LABELS, 3.0, 0.3).expect("works")),
        );
        check("smoothed head loss", &[&[7, 5], &[37, 5]], |x| {
            head_cross_entropy(&x[0], &x[1], &LABELS, SMOOTHED)
        });
    }

    #[test]
    fn bounded_logits_pass_their_gradient_in_pieces() {
        let bounded = HeadLossSpec { softcap: Some(1.5), ..SMOOTHED };
        for piece in [2, 100] {
            check("bounded head loss", &[&[7, 5], &[37, 5]], |x| {
                in_pieces(&x[0], &x[1], &LABELS, bounded, piece)
            });
        }
    }

    #[test]
    fn a_frozen_head_passes_the_gradient_to_the_states_however_many_rows_go_together() {
        let w = normal("head", &[37, 5]);
        for piece in [1, 2, 3, 100] {
            check("head loss", &[&[7, 5]], |x| in_pieces(&x[0], &w, &LABELS, PLAIN, piece));
        }
        check("head loss of strided states", &[&[5, 7]], |x| {
            linear_cross_entropy(&x[0].t()?, &w, &LABELS, 4.0)
        });
    }

    #[test]
    fn a_trained_head_gets_its_gradient_over_all_pieces() {
        for piece in [2, 100] {
            check("trained head loss", &[&[7, 5], &[37, 5]], |x| {
                in_pieces(&x[0], &x[1], &LABELS, PLAIN, piece)
            });
        }
    }

    #[test]
    fn it_is_the_loss_of_the_whole_logits_also_for_a_head_stored_in_half_precision() {
        let (x, w) =
            (normal("x", &[7, 5]), normal("w", &[37, 5]).to_dtype(DType::BF16).expect("converts"));
        let whole = cross_entropy(&linear(&x, &w).expect("logits"), &LABELS, 3.0).expect("works");
        assert_close(
            "half",
            &flat(&linear_cross_entropy(&x, &w, &LABELS, 3.0).expect("works")),
            &flat(&whole),
        );
    }

    #[test]
    fn a_second_backward_pass_is_identical_and_a_factor_on_the_loss_applies() {
        let (x, w) =
            (Var::from_tensor(&normal("x", &[7, 5])).expect("a variable"), normal("w", &[37, 5]));
        let loss = linear_cross_entropy(x.as_tensor(), &w, &LABELS, 3.0).expect("works");
        let gradient =
            |loss: &Tensor| flat(&loss.backward().expect("works").remove(&x).expect("a gradient"));
        let first = gradient(&loss);
        assert_eq!(first, gradient(&loss));
        let doubled: Vec<f64> = first.iter().map(|value| 2.0 * value).collect();
        assert_eq!(doubled, gradient(&(loss * 2.0).expect("works")));
    }

    #[test]
    fn without_any_label_loss_and_gradient_are_zero_and_an_empty_batch_is_valid() {
        let (x, w) =
            (Var::from_tensor(&normal("x", &[2, 5])).expect("a variable"), normal("w", &[37, 5]));
        let loss = linear_cross_entropy(x.as_tensor(), &w, &[IGNORED; 2], 1.0).expect("works");
        let gradient = loss.backward().expect("works").remove(&x).expect("a gradient");
        assert_eq!((flat(&loss), flat(&gradient)), (vec![0.0], vec![0.0; 10]));
        let none = Tensor::zeros((0, 5), DType::F32, &crate::Device::Cpu).expect("an empty tensor");
        assert_eq!(flat(&linear_cross_entropy(&none, &w, &[], 1.0).expect("works")), [0.0]);
    }

    #[test]
    fn mismatched_shapes_are_refused() {
        let (x, w) = (normal("x", &[2, 5]), normal("w", &[37, 5]));
        assert!(linear_cross_entropy(&x, &w, &[1], 1.0).is_err());
        assert!(linear_cross_entropy(&x, &normal("w", &[37, 4]), &[1, 2], 1.0).is_err());
        let error = linear_cross_entropy(&x, &w, &[1, 37], 1.0).expect_err("refused");
        assert_eq!(error.to_string(), "label 37 is outside 0..37");
    }
}
