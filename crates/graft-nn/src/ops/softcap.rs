//! Bounded logits.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use super::portable;
use crate::floats::{floats, is_native};
use crate::{Result, Tensor, kernel, parallel};

/// `y = c tanh(x / c)`, which lies between `-c` and `c`.
///
/// # Shapes
/// `x: (..)` -> `(..)`
/// # Errors
/// Returns an error if the underlying candle operation fails.
/// # Source
/// Gemma Team 2024, arXiv:2408.00118, section 2
pub fn softcap(x: &Tensor, cap: f32) -> Result<Tensor> {
    if !is_native(x) {
        return portable::softcap(x, f64::from(cap));
    }
    Ok(x.contiguous()?.apply_op1(Softcap(cap))?)
}

struct Softcap(f32);

impl CustomOp1 for Softcap {
    fn name(&self) -> &'static str {
        "softcap"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut y = floats(x, layout)?.to_vec();
        parallel::each(y.chunks_mut(parallel::CHUNK), |y| {
            kernel::softcap(y, self.0, &mut vec![0.0; y.len()]);
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    /// `dx = g (1 - (y / c)²)`
    fn bwd(&self, _x: &Tensor, y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let slope = (y / f64::from(self.0))?.sqr()?.affine(-1.0, 1.0)?;
        (g * slope).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::check;
    use super::*;

    #[test]
    fn large_values_approach_the_bound_and_their_gradient_vanishes() {
        check("softcap", &[&[3, 5000]], |x| softcap(&(&x[0] * 3.0)?, 2.5));
    }
}
