//! Root-mean-square normalization.

use super::portable;
use super::row_norm::{FrozenNorm, RowNorm, TrainedNorm};
use super::width::check_width;
use crate::floats::is_native;
use crate::{Result, Tensor};

/// `y = x / sqrt(mean(x²) + eps) ∘ w` over the last dimension.
///
/// # Shapes
/// `x: (.., C)`, `w: (C)` -> `(.., C)`
/// # Errors
/// [`crate::NnError::Shape`] if the widths differ.
/// # Source
/// Zhang and Sennrich 2019, arXiv:1910.07467
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    check_width("input of a norm", x, w.dims1()?)?;
    let norm = RowNorm::Rms { eps: eps as f32 };
    match (is_native(x), w.track_op()) {
        (false, _) => portable::rms_norm(x, w, eps),
        (true, false) => {
            Ok(x.contiguous()?.apply_op1(FrozenNorm { w: w.clone(), b: None, norm })?)
        }
        (true, true) => Ok(x.contiguous()?.apply_op2(w, TrainedNorm(norm))?),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, normal};
    use super::*;

    #[test]
    fn a_frozen_weight_passes_the_gradient_to_the_input() {
        let w = normal("frozen w", &[37]);
        check("rms norm", &[&[2, 5, 37]], |x| rms_norm(&x[0], &w, 1e-5));
    }

    #[test]
    fn a_trained_weight_gets_the_sum_over_all_rows() {
        // Many rows, so that several pieces are summed.
        check("trained rms norm", &[&[3, 200, 37], &[37]], |x| rms_norm(&x[0], &x[1], 1e-5));
    }
}
