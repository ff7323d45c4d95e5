//! A bias over the last dimension.

use super::linear::check_width;
use super::portable;
use crate::{Result, Tensor};

/// `y = x + b`.
///
/// # Shapes
/// `x: (.., C)`, `b: (C)` -> `(.., C)`
/// # Errors
/// [`crate::NnError::Shape`] when the widths differ.
pub fn bias_add(x: &Tensor, b: &Tensor) -> Result<Tensor> {
    check_width("input of a bias", x, b.dims1()?)?;
    portable::bias_add(x, b)
}
