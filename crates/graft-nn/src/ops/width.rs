//! Checks and changes of the last dimension.

use candle_core::Shape;

use crate::{NnError, Result, Tensor};

/// Returns an error unless the last dimension of `x` is `width`.
pub(super) fn check_width(what: &'static str, x: &Tensor, width: usize) -> Result<()> {
    match x.dims().last() {
        Some(last) if *last == width => Ok(()),
        _ => Err(NnError::Shape {
            what,
            expected: format!("(.., {width})"),
            found: x.dims().to_vec(),
        }),
    }
}

/// The shape `dims` with its last dimension replaced by `width`.
pub(super) fn with_width(dims: &[usize], width: usize) -> Shape {
    let leading = dims.iter().take(dims.len().saturating_sub(1)).copied();
    Shape::from(leading.chain([width]).collect::<Vec<_>>())
}
