//! Linear layer.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};

use super::width::{check_width, with_width};
use super::{device_linear, portable};
use crate::floats::{Floats, floats, is_native};
use crate::matrix::Matrix;
use crate::{Result, Tensor, Weight};

/// `y = x Wᵀ`.
///
/// The gradient of `W` is computed only if it is trained (a variable, or computed from variables).
/// A quantized `W` is unpacked for each product, in the forward and again in the backward pass.
///
/// # Shapes
/// `x: (.., d_in)`, `w: (d_out, d_in)` -> `(.., d_out)`
/// # Errors
/// [`crate::NnError::Shape`] if the widths differ.
pub fn linear(x: &Tensor, w: impl Into<Weight>) -> Result<Tensor> {
    let w = w.into();
    let dims = w.dims2()?;
    check_width("input of a linear layer", x, dims.1)?;
    match (is_native(x), w.tracked()) {
        (false, None) => device_linear::linear(x, w),
        (false, Some(w)) => portable::linear(x, w),
        (true, None) => Ok(x.contiguous()?.apply_op1(FrozenLinear { w, dims })?),
        (true, Some(w)) => Ok(x.contiguous()?.apply_op2(&w.contiguous()?, TrainedLinear)?),
    }
}

/// `x Wᵀ` with a captured W, so that only x is in the graph.
struct FrozenLinear {
    w: Weight,
    dims: (usize, usize),
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        forward(floats(x, layout)?, layout, &self.w.floats()?, self.dims)
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        input_gradient(x, g, &self.w.floats()?, self.dims).map(Some)
    }
}

/// `x Wᵀ` with W in the graph.
struct TrainedLinear;

impl CustomOp2 for TrainedLinear {
    fn name(&self) -> &'static str {
        "linear-trained"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        forward(floats(x, x_layout)?, x_layout, floats(w, w_layout)?, w_layout.shape().dims2()?)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (d_out, d_in) = w.dims2()?;
        let dx = x
            .track_op()
            .then(|| input_gradient(x, g, &Floats::read(w)?, (d_out, d_in)))
            .transpose()?;
        let x = Floats::read(x)?;
        let g = Floats::read(g)?;
        let rows = x.len() / d_in;
        let dw = Matrix::new(&g, rows, d_out).t().times(Matrix::new(&x, rows, d_in)).collect(); // (d_out, d_in)
        Ok((dx, Some(Tensor::from_vec(dw, (d_out, d_in), w.device())?)))
    }
}

fn forward(
    x: &[f32],
    layout: &Layout,
    w: &[f32],
    (d_out, d_in): (usize, usize),
) -> candle_core::Result<(CpuStorage, Shape)> {
    let rows = x.len() / d_in;
    let y = Matrix::new(x, rows, d_in).times(Matrix::new(w, d_out, d_in).t()).collect(); // (N, d_out)
    Ok((CpuStorage::F32(y), with_width(layout.dims(), d_out)))
}

/// `g W`
fn input_gradient(
    x: &Tensor,
    g: &Tensor,
    w: &[f32],
    (d_out, d_in): (usize, usize),
) -> candle_core::Result<Tensor> {
    let g = Floats::read(g)?;
    let dx = Matrix::new(&g, g.len() / d_out, d_out).times(Matrix::new(w, d_out, d_in)).collect(); // (N, d_in)
    Tensor::from_vec(dx, x.dims(), x.device())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::check::{assert_close, check, flat, normal};
    use super::*;
    use crate::{DType, Packed, Quantization};

    #[test]
    fn a_frozen_weight_passes_the_gradient_to_the_input() {
        let w = normal("frozen w", &[5, 7]);
        check("linear", &[&[2, 3, 7]], |x| linear(&x[0], &w));
        check("linear with a strided input", &[&[7, 3]], |x| linear(&x[0].t()?, &w));
    }

    #[test]
    fn a_trained_weight_gets_a_gradient_over_all_leading_dimensions() {
        check("trained linear", &[&[2, 3, 7], &[5, 7]], |x| linear(&x[0], &x[1]));
    }

    #[test]
    fn a_weight_computed_from_variables_passes_its_gradient_on_to_them() {
        check("linear with a computed weight", &[&[4, 7], &[5, 7], &[5, 7]], |x| {
            linear(&x[0], &(&x[1] * &x[2])?)
        });
        check("linear with a turned weight", &[&[4, 7], &[7, 5]], |x| linear(&x[0], &x[1].t()?));
    }

    #[test]
    fn a_weight_stored_in_half_precision_is_widened() {
        let (x, w) = (normal("x", &[4, 7]), normal("w", &[5, 7]));
        for dtype in [DType::BF16, DType::F16] {
            let stored = w.to_dtype(dtype).expect("converts");
            let exact = linear(&x, stored.to_dtype(DType::F32).expect("converts")).expect("works");
            assert_close("half", &flat(&linear(&x, &stored).expect("works")), &flat(&exact));
        }
    }

    #[test]
    fn a_packed_weight_equals_its_unpacked_weight_in_both_passes() {
        for quantization in [Quantization::Nf4 { double: true }, Quantization::Int8] {
            let packed = Weight::Packed(Arc::new(
                Packed::new(&normal("w", &[5, 7]), quantization).expect("packs"),
            ));
            check("linear with a packed weight", &[&[4, 7]], |x| linear(&x[0], &packed));
            let (x, dense) = (normal("x", &[4, 7]), packed.tensor());
            assert_close(
                "packed",
                &flat(&linear(&x, &packed).expect("works")),
                &flat(&linear(&x, &dense).expect("works")),
            );
        }
    }

    #[test]
    fn a_wrong_width_is_refused_with_the_reason() {
        let error = linear(&normal("x", &[4, 6]), normal("w", &[5, 7])).expect_err("refused");
        assert_eq!(error.to_string(), "input of a linear layer: expected (.., 7), found [4, 6]");
    }
}
