//! The Gaussian error linear unit.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use super::portable;
use crate::floats::{Floats, floats, is_native};
use crate::parallel::{self, CHUNK};
use crate::{Result, Tensor, kernel};

/// The form of the GELU: exact or approximated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// `x Φ(x)`: Hugging Face's `gelu`.
    Exact,
    /// `x (1 + tanh(sqrt(2 / π) (x + 0.044715 x³))) / 2`: Hugging Face's `gelu_new` and
    /// `gelu_pytorch_tanh`.
    Tanh,
}

/// `y = x Φ(x)`, with the cumulative distribution function Φ of the standard normal distribution,
/// or its approximation.
///
/// # Shapes
/// `x: (..)` -> `(..)`
/// # Errors
/// Returns an error if the underlying candle operation fails.
/// # Source
/// Hendrycks and Gimpel 2016, arXiv:1606.08415
pub fn gelu(x: &Tensor, kind: Gelu) -> Result<Tensor> {
    if !is_native(x) {
        return portable::gelu(x, kind);
    }
    Ok(x.contiguous()?.apply_op1(kind)?)
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = floats(x, layout)?;
        let mut y = vec![0.0; x.len()];
        parallel::each(x.chunks(CHUNK).zip(y.chunks_mut(CHUNK)), |(x, y)| match self {
            Self::Exact => kernel::gelu(x, y),
            Self::Tanh => kernel::gelu_tanh(x, y),
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let values = Floats::read(x)?;
        let g = Floats::read(g)?;
        let mut dx = vec![0.0; values.len()];
        parallel::each(
            values.chunks(CHUNK).zip(g.chunks(CHUNK)).zip(dx.chunks_mut(CHUNK)),
            |((x, g), dx)| match self {
                Self::Exact => kernel::gelu_backward(x, g, dx),
                Self::Tanh => kernel::gelu_tanh_backward(x, g, dx),
            },
        );
        Tensor::from_vec(dx, x.dims(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::check;
    use super::*;

    #[test]
    fn both_forms_and_their_slopes_agree_with_candle_and_finite_differences() {
        for kind in [Gelu::Exact, Gelu::Tanh] {
            check(&format!("{kind:?} gelu"), &[&[3, 11]], |x| gelu(&x[0], kind));
            check(&format!("{kind:?} gelu on large inputs"), &[&[2, 5000]], |x| {
                gelu(&(&x[0] * 8.0)?, kind)
            });
        }
    }
}
