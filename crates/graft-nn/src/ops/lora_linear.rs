//! A frozen linear map with a trained low-rank update.

use super::linear::check_width;
use super::portable;
use crate::{DropoutMask, Result, Tensor};

/// The low-rank update `s B A` of a weight.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// A, (R, d_in).
    pub a: Tensor,
    /// B, (d_out, R).
    pub b: Tensor,
    /// s.
    pub scale: f64,
    /// Which inputs of A fall out; `None` while evaluating.
    pub dropout: Option<DropoutMask>,
}

/// `y = x Wᵀ + s (m ∘ x) Aᵀ Bᵀ`.
///
/// # Shapes
/// `x: (.., d_in)`, `w: (d_out, d_in)` -> `(.., d_out)`
/// # Errors
/// [`crate::NnError::Shape`] when the widths differ.
/// # Source
/// Hu et al. 2021, arXiv:2106.09685 section 4.1
pub fn lora_linear(x: &Tensor, w: &Tensor, update: &LowRank) -> Result<Tensor> {
    check_width("input of a linear layer", x, w.dims2()?.1)?;
    portable::lora_linear(x, w, update)
}
