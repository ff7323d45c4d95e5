//! Layer normalization.

use super::row_norm::{FrozenNorm, RowNorm, TrainedNorm};
use super::width::check_width;
use super::{bias_add, portable};
use crate::floats::is_native;
use crate::{NnError, Result, Tensor};

/// `y = (x - mean(x)) / sqrt(var(x) + eps) ∘ w + b` over the last dimension; `b` is optional.
///
/// Gradients are computed only for the operands that are in the graph.
///
/// # Shapes
/// `x: (.., C)`, `w, b: (C)` -> `(.., C)`
/// # Errors
/// [`NnError::Shape`] if the widths differ.
/// # Source
/// Ba, Kiros and Hinton 2016, arXiv:1607.06450
pub fn layer_norm(x: &Tensor, w: &Tensor, b: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let width = w.dims1()?;
    check_width("input of a norm", x, width)?;
    if let Some(b) = b.filter(|b| b.dims() != [width]) {
        return Err(NnError::Shape {
            what: "bias of a norm",
            expected: format!("[{width}]"),
            found: b.dims().to_vec(),
        });
    }
    if !is_native(x) {
        return portable::layer_norm(x, w, b, eps);
    }
    let x = x.contiguous()?;
    let norm = RowNorm::Layer { eps: eps as f32 };
    match (w.track_op(), b.filter(|b| b.track_op())) {
        (false, None) => Ok(x.apply_op1(FrozenNorm { w: w.clone(), b: b.cloned(), norm })?),
        (false, Some(trained)) => {
            bias_add(&x.apply_op1(FrozenNorm { w: w.clone(), b: None, norm })?, trained)
        }
        (true, _) => {
            let y = x.apply_op2(&w.contiguous()?, TrainedNorm(norm))?;
            b.map_or(Ok(y.clone()), |b| bias_add(&y, b))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_close, check, flat, normal};
    use super::*;
    use crate::DType;

    #[test]
    fn frozen_weights_pass_the_gradient_to_the_input() {
        let (w, b) = (normal("frozen w", &[37]), normal("frozen b", &[37]));
        check("layer norm", &[&[2, 5, 37]], |x| layer_norm(&x[0], &w, Some(&b), 1e-5));
        check("layer norm without a bias", &[&[2, 5, 37]], |x| layer_norm(&x[0], &w, None, 1e-5));
        check("layer norm far from zero", &[&[2, 5, 37]], |x| {
            layer_norm(&(&x[0] + 20.0)?, &w, Some(&b), 1e-12)
        });
    }

    #[test]
    fn gradients_of_trained_parameters_sum_over_all_rows() {
        // Many rows, so that several pieces are summed.
        check("trained layer norm", &[&[3, 200, 37], &[37], &[37]], |x| {
            layer_norm(&x[0], &x[1], Some(&x[2]), 1e-5)
        });
        let w = normal("frozen w", &[37]);
        check("layer norm with a trained bias", &[&[3, 200, 37], &[37]], |x| {
            layer_norm(&x[0], &w, Some(&x[1]), 1e-5)
        });
        let b = normal("frozen b", &[37]);
        check("layer norm with a trained weight", &[&[3, 200, 37], &[37]], |x| {
            layer_norm(&x[0], &x[1], Some(&b), 1e-5)
        });
    }

    #[test]
    fn weights_stored_in_half_precision_are_widened() {
        let [x, w, b] = [("x", &[4, 37][..]), ("w", &[37]), ("b", &[37])]
            .map(|(name, dims)| normal(name, dims));
        let [half_w, half_b] = [&w, &b].map(|t| t.to_dtype(DType::BF16).expect("converts"));
        let [wide_w, wide_b] =
            [&half_w, &half_b].map(|t| t.to_dtype(DType::F32).expect("converts"));
        let exact = layer_norm(&x, &wide_w, Some(&wide_b), 1e-5).expect("works");
        assert_close(
            "half",
            &flat(&layer_norm(&x, &half_w, Some(&half_b), 1e-5).expect("works")),
            &flat(&exact),
        );
    }

    #[test]
    fn widths_that_differ_are_refused() {
        let [x, w] = [normal("x", &[4, 6]), normal("w", &[6])];
        assert!(layer_norm(&x, &normal("w", &[5]), None, 1e-5).is_err());
        assert!(layer_norm(&x, &w, Some(&normal("b", &[5])), 1e-5).is_err());
    }
}
