//! The gate of a gated feed-forward block.

use super::portable;
use crate::{NnError, Result, Tensor};

/// `y = silu(gate) ∘ up`, with `silu(a) = a / (1 + exp(-a))`.
///
/// # Shapes
/// `gate, up: (.., F)` -> `(.., F)`
/// # Errors
/// [`NnError::Shape`] when they differ.
/// # Source
/// Shazeer 2020, arXiv:2002.05202
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.shape() != up.shape() {
        return Err(NnError::Shape { what: "second operand of swiglu", expected: format!("{:?}", gate.dims()), found: up.dims().to_vec() });
    }
    portable::swiglu(gate, up)
}
