//! Selects rows of the hidden states, with a gradient, so that the head is computed only at
//! positions with a label.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};
use graft_nn::{Device, Tensor};

use crate::Result;

/// Rows `numbers` of `x`. The gradient of a row that is selected twice is the sum of both.
///
/// # Shapes
/// `x: (N, C)` -> `(numbers.len(), C)`
/// # Errors
/// When a row number is out of range, or `x` on the CPU is not 32-bit.
pub(crate) fn rows(x: &Tensor, numbers: &[u32]) -> Result<Tensor> {
    if matches!(x.device(), Device::Cpu) {
        return Ok(x.contiguous()?.apply_op1(Rows { numbers: numbers.to_vec() })?);
    }
    let numbers = Tensor::from_slice(numbers, numbers.len(), x.device())?;
    Ok(x.index_select(&numbers, 0)?) // (numbers, C)
}

struct Rows {
    numbers: Vec<u32>,
}

impl CustomOp1 for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let (CpuStorage::F32(x), Some((start, end))) = (x, layout.contiguous_offsets()) else {
            candle_core::bail!("rows expects contiguous 32-bit values")
        };
        if let Some(number) = self.numbers.iter().find(|number| **number as usize >= rows) {
            candle_core::bail!("row {number} is out of range: the tensor has {rows} rows");
        }
        let x = &x[start..end];
        let mut y = Vec::with_capacity(self.numbers.len() * width);
        for number in &self.numbers {
            y.extend_from_slice(&x[*number as usize * width..][..width]);
        }
        Ok((CpuStorage::F32(y), Shape::from((self.numbers.len(), width))))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let width = x.dims2()?.1;
        let g = g.contiguous()?;
        let (storage, layout) = g.storage_and_layout();
        let (candle_core::Storage::Cpu(CpuStorage::F32(g)), Some((start, end))) =
            (&*storage, layout.contiguous_offsets())
        else {
            candle_core::bail!("rows expects contiguous 32-bit gradients")
        };
        let mut dx = vec![0.0; x.elem_count()];
        for (number, row) in self.numbers.iter().zip(g[start..end].chunks(width)) {
            for (sum, value) in dx[*number as usize * width..][..width].iter_mut().zip(row) {
                *sum += value;
            }
        }
        Tensor::from_vec(dx, x.dims(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_nn::Var;

    #[test]
    fn the_gradient_of_a_row_taken_twice_is_the_sum() {
        let x = Var::new(&[[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &Device::Cpu).expect("x");
        let y = rows(x.as_tensor(), &[2, 0, 2]).expect("rows");
        assert_eq!(y.to_vec2::<f32>().expect("values"), [[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]);
        let weights =
            Tensor::new(&[[1f32, 10.0], [2.0, 20.0], [3.0, 30.0]], &Device::Cpu).expect("weights");
        let store =
            (y * weights).and_then(|z| z.sum_all()).and_then(|z| z.backward()).expect("backward");
        let gradient =
            store.get(x.as_tensor()).expect("gradient").to_vec2::<f32>().expect("values");
        assert_eq!(gradient, [[2.0, 20.0], [0.0, 0.0], [4.0, 40.0]]);
    }

    #[test]
    fn a_row_outside_is_refused() {
        let x = Tensor::zeros((2, 2), candle_core::DType::F32, &Device::Cpu).expect("x");
        assert!(rows(&x, &[2]).is_err());
    }
}
