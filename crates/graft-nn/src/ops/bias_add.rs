//! Addition of a bias over the last dimension.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};

use super::portable;
use super::width::check_width;
use crate::floats::{Floats, floats, is_native};
use crate::{Result, Tensor, kernel, parallel};

/// `y = x + b`.
///
/// # Shapes
/// `x: (.., C)`, `b: (C)` -> `(.., C)`
/// # Errors
/// [`crate::NnError::Shape`] if the widths differ.
pub fn bias_add(x: &Tensor, b: &Tensor) -> Result<Tensor> {
    check_width("input of a bias", x, b.dims1()?)?;
    match (is_native(x), b.track_op()) {
        (false, _) => portable::bias_add(x, b),
        (true, false) => Ok(x.contiguous()?.apply_op1(FrozenBias { b: b.clone() })?),
        (true, true) => Ok(x.contiguous()?.apply_op2(&b.contiguous()?, TrainedBias)?),
    }
}

fn forward(x: &[f32], b: &[f32]) -> CpuStorage {
    let mut y = x.to_vec();
    y.chunks_mut(b.len()).for_each(|row| kernel::add(row, b));
    CpuStorage::F32(y)
}

struct FrozenBias {
    b: Tensor,
}

impl CustomOp1 for FrozenBias {
    fn name(&self) -> &'static str {
        "bias-add"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((forward(floats(x, layout)?, &Floats::read(&self.b)?), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(g.clone()))
    }
}

struct TrainedBias;

impl CustomOp2 for TrainedBias {
    fn name(&self) -> &'static str {
        "bias-add-trained"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((forward(floats(x, x_layout)?, floats(b, b_layout)?), x_layout.shape().clone()))
    }

    /// `db` is the sum over the rows, by pieces that are then added in order.
    fn bwd(
        &self,
        x: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let values = Floats::read(g)?;
        let width = b.elem_count();
        let sum = |rows: &[f32]| {
            let mut sum = vec![0.0; width];
            rows.chunks(width).for_each(|row| kernel::add(&mut sum, row));
            sum
        };
        let parts =
            parallel::map(values.chunks(width * parallel::rows_per_piece(width)), sum).concat();
        let db = Tensor::from_vec(sum(&parts), b.dims(), b.device())?;
        Ok((x.track_op().then(|| g.clone()), Some(db)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, normal};
    use super::*;

    #[test]
    fn a_frozen_bias_passes_the_gradient_on() {
        let b = normal("b", &[37]);
        check("bias", &[&[2, 3, 37]], |x| bias_add(&x[0], &b));
    }

    #[test]
    fn a_trained_bias_gets_the_sum_over_all_rows() {
        check("trained bias", &[&[3, 200, 37], &[37]], |x| bias_add(&x[0], &x[1]));
    }
}
