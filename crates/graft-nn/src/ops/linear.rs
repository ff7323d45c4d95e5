//! A linear map.

use super::portable;
use crate::{NnError, Result, Tensor};

/// `y = x Wᵀ`.
///
/// A frozen `W` gets no gradient and none is computed; a trainable one (a variable) does.
///
/// # Shapes
/// `x: (.., d_in)`, `w: (d_out, d_in)` -> `(.., d_out)`
/// # Errors
/// [`NnError::Shape`] when the widths differ.
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    check_width("input of a linear layer", x, w.dims2()?.1)?;
    portable::linear(x, w)
}

/// Refuses `x` whose last dimension is not `width`.
pub(super) fn check_width(what: &'static str, x: &Tensor, width: usize) -> Result<()> {
    match x.dims().last() {
        Some(last) if *last == width => Ok(()),
        _ => Err(NnError::Shape { what, expected: format!("(.., {width})"), found: x.dims().to_vec() }),
    }
}
