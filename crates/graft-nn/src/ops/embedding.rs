//! Rows of a table by number.

use super::portable;
use crate::{NnError, Result, Tensor};

/// Row `id` of `w` for every id.
///
/// # Shapes
/// `ids: (..)` of `u32`, `w: (V, C)` -> `(.., C)` in 32-bit numbers
/// # Errors
/// [`NnError::OutOfRange`] for an id outside the table.
pub fn embedding(ids: &Tensor, w: &Tensor) -> Result<Tensor> {
    let limit = w.dims2()?.0;
    let numbers = ids.flatten_all()?.to_vec1::<u32>()?;
    if let Some(id) = numbers.iter().find(|id| **id as usize >= limit) {
        return Err(NnError::OutOfRange { what: "token", index: i64::from(*id), limit });
    }
    portable::embedding(ids, w)
}
