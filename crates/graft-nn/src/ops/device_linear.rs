//! A linear layer with a frozen weight on any device.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Shape, Storage, bail};

use super::width::with_width;
use crate::{DType, Result, Tensor, Weight};

/// `x Wᵀ` by the device's own matrix product.
///
/// candle's matrix product computes the gradients of both factors in every backward pass. A frozen
/// W needs none, so leaving it out saves one of the three products of each training step. A packed
/// W is unpacked for each product.
///
/// # Shapes
/// `x: (.., d_in)`, `w: (d_out, d_in)` -> `(.., d_out)`
pub(super) fn linear(x: &Tensor, w: Weight) -> Result<Tensor> {
    let dims = w.dims2()?;
    let factor = w.factor_dtype(x);
    let y = x.to_dtype(factor)?.contiguous()?.apply_op1(DeviceLinear { w, dims })?;
    Ok(y.to_dtype(x.dtype())?)
}

struct DeviceLinear {
    w: Weight,
    dims: (usize, usize),
}

impl DeviceLinear {
    fn weight(&self, dtype: DType) -> candle_core::Result<Tensor> {
        self.w.factor(dtype).map_err(candle_core::Error::from)
    }

    /// `x Wᵀ`, as (1, N, d_in) times (1, d_in, d_out).
    fn product<S: BackendStorage>(
        &self,
        (x, x_layout): (&S, &Layout),
        (w, w_layout): (&S, &Layout),
    ) -> candle_core::Result<(S, Shape)> {
        let (d_out, d_in) = self.dims;
        let rows = x_layout.shape().elem_count() / d_in;
        let x_matrix = Layout::contiguous_with_offset((1, rows, d_in), x_layout.start_offset());
        let w_matrix = Layout::contiguous_with_offset((1, d_out, d_in), w_layout.start_offset())
            .transpose(1, 2)?;
        let y = x.matmul(w, (1, rows, d_out, d_in), &x_matrix, &w_matrix)?;
        Ok((y, with_width(x_layout.dims(), d_out)))
    }
}

impl CustomOp1 for DeviceLinear {
    fn name(&self) -> &'static str {
        "linear-frozen"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let w = self.weight(x.dtype())?;
        match &*w.storage_and_layout().0 {
            Storage::Cpu(values) => self.product((x, layout), (values, w.layout())),
            _ => bail!("the weight of a linear layer is on another device than its input"),
        }
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let w = self.weight(x.dtype())?;
        match &*w.storage_and_layout().0 {
            Storage::Cuda(values) => self.product((x, layout), (values, w.layout())),
            _ => bail!("the weight of a linear layer is on another device than its input"),
        }
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let rows = g.reshape(((), self.dims.0))?; // (N, d_out)
        rows.matmul(&self.weight(x.dtype())?)?.reshape(x.dims()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::check::{assert_close, flat, normal};
    use super::*;
    use crate::{Device, Packed, Quantization, Var};

    #[test]
    fn value_and_gradient_are_those_of_candles_product() {
        let w = normal("w", &[5, 7]);
        let x = Var::from_tensor(&normal("x", &[2, 3, 7])).expect("a variable");
        let loss = |y: Tensor| y.sqr().and_then(|squares| squares.sum_all()).expect("a loss");
        let (ours, theirs) = (
            linear(&x, w.clone().into()).expect("works"),
            x.broadcast_matmul(&w.t().expect("turns")).expect("works"),
        );
        assert_close("y", &flat(&ours), &flat(&theirs));
        let gradient =
            |y| loss(y).backward().expect("a backward pass").remove(&x).expect("a gradient");
        assert_close("dx", &flat(&gradient(ours)), &flat(&gradient(theirs)));
    }

    #[test]
    fn a_packed_weight_on_a_device_equals_its_unpacked_weight() {
        let packed =
            Packed::new(&normal("w", &[5, 64]), Quantization::Nf4 { double: true }).expect("packs");
        let (x, dense) = (normal("x", &[3, 64]), packed.on_cpu());
        let packed = Weight::Packed(Arc::new(packed));
        assert_close(
            "packed",
            &flat(&linear(&x, packed).expect("works")),
            &flat(&linear(&x, dense.into()).expect("works")),
        );
    }

    #[test]
    fn an_empty_input_has_an_empty_output() {
        let none = Tensor::zeros((0, 7), DType::F64, &Device::Cpu).expect("nothing");
        assert_eq!(linear(&none, normal("w", &[5, 7]).into()).expect("works").dims(), [0, 5]);
    }
}
