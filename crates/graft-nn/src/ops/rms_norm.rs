//! Root-mean-square normalisation.

use super::linear::check_width;
use super::portable;
use crate::{Result, Tensor};

/// `y = x / sqrt(mean(x²) + eps) ∘ w` over the last dimension.
///
/// # Shapes
/// `x: (.., C)`, `w: (C)` -> `(.., C)`
/// # Errors
/// [`crate::NnError::Shape`] when the widths differ.
/// # Source
/// Zhang and Sennrich 2019, arXiv:1910.07467
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    check_width("input of a norm", x, w.dims1()?)?;
    portable::rms_norm(x, w, eps)
}
