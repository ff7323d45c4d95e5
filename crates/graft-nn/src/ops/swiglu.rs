//! SwiGLU, the gate of a gated feed-forward block.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape};

use super::portable;
use crate::floats::{Floats, floats, is_native};
use crate::parallel::{self, CHUNK};
use crate::{NnError, Result, Tensor, kernel};

/// `y = silu(gate) ∘ up`, with `silu(a) = a / (1 + exp(-a))`.
///
/// # Shapes
/// `gate, up: (.., F)` -> `(.., F)`
/// # Errors
/// [`NnError::Shape`] if the shapes differ.
/// # Source
/// Shazeer 2020, arXiv:2002.05202
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.shape() != up.shape() {
        return Err(NnError::Shape {
            what: "second operand of swiglu",
            expected: format!("{:?}", gate.dims()),
            found: up.dims().to_vec(),
        });
    }
    if !is_native(gate) || !is_native(up) {
        return portable::swiglu(gate, up);
    }
    Ok(gate.contiguous()?.apply_op2(&up.contiguous()?, Swiglu)?)
}

struct Swiglu;

impl CustomOp2 for Swiglu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let gate = floats(gate, gate_layout)?;
        let up = floats(up, up_layout)?;
        let mut y = vec![0.0; gate.len()];
        let pieces = gate.chunks(CHUNK).zip(up.chunks(CHUNK)).zip(y.chunks_mut(CHUNK));
        parallel::each(pieces, |((gate, up), y)| kernel::swiglu(gate, up, y));
        Ok((CpuStorage::F32(y), gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let a = Floats::read(gate)?;
        let b = Floats::read(up)?;
        let g = Floats::read(g)?;
        let mut da = vec![0.0; a.len()];
        let mut db = vec![0.0; a.len()];
        let inputs = a.chunks(CHUNK).zip(b.chunks(CHUNK)).zip(g.chunks(CHUNK));
        let pieces = inputs.zip(da.chunks_mut(CHUNK).zip(db.chunks_mut(CHUNK)));
        parallel::each(pieces, |(((a, b), g), (da, db))| kernel::swiglu_backward(a, b, g, da, db));
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.dims(), like.device());
        Ok((Some(tensor(da, gate)?), Some(tensor(db, up)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, normal};
    use super::*;

    #[test]
    fn both_operands_get_their_gradient() {
        check("swiglu", &[&[3, 11], &[3, 11]], |x| swiglu(&x[0], &x[1]));
        check("swiglu on large inputs", &[&[2, 5000], &[2, 5000]], |x| {
            swiglu(&(&x[0] * 30.0)?, &x[1])
        });
    }

    #[test]
    fn different_shapes_are_refused() {
        assert!(swiglu(&normal("a", &[2, 3]), &normal("b", &[3, 2])).is_err());
    }
}
