//! Root-mean-square normalisation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};

use super::linear::check_width;
use super::portable;
use crate::floats::{Floats, floats, is_native};
use crate::{Result, Tensor, kernel, parallel};

/// `y = x / sqrt(mean(x²) + eps) ∘ w` over the last dimension.
///
/// # Shapes
/// `x: (.., C)`, `w: (C)` -> `(.., C)`
/// # Errors
/// [`crate::NnError::Shape`] when the widths differ.
/// # Source
/// Zhang and Sennrich 2019, arXiv:1910.07467
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    check_width("input of a norm", x, w.dims1()?)?;
    let norm = Norm { eps: eps as f32 };
    match (is_native(x), w.is_variable()) {
        (false, _) => portable::rms_norm(x, w, eps),
        (true, false) => Ok(x.contiguous()?.apply_op1(Frozen { w: w.clone(), norm })?),
        (true, true) => Ok(x.contiguous()?.apply_op2(w, Trained { norm })?),
    }
}

#[derive(Clone, Copy)]
struct Norm {
    eps: f32,
}

impl Norm {
    fn forward(self, x: &[f32], w: &[f32]) -> CpuStorage {
        let piece = w.len() * parallel::rows_per_piece(w.len());
        let mut y = vec![0.0; x.len()];
        parallel::each(x.chunks(piece).zip(y.chunks_mut(piece)), |(x, y)| {
            x.chunks(w.len())
                .zip(y.chunks_mut(w.len()))
                .for_each(|(x, y)| kernel::rms_norm(x, w, self.eps, y));
        });
        CpuStorage::F32(y)
    }

    fn input_gradient(self, x: &Tensor, g: &[f32], w: &[f32]) -> candle_core::Result<Tensor> {
        let values = Floats::read(x)?;
        let (width, piece) = (w.len(), w.len() * parallel::rows_per_piece(w.len()));
        let mut dx = vec![0.0; values.len()];
        parallel::each(
            values.chunks(piece).zip(g.chunks(piece)).zip(dx.chunks_mut(piece)),
            |((x, g), dx)| {
                let rows = x.chunks(width).zip(g.chunks(width)).zip(dx.chunks_mut(width));
                rows.for_each(|((x, g), dx)| kernel::rms_norm_backward(x, g, w, self.eps, dx));
            },
        );
        Tensor::from_vec(dx, x.dims(), x.device())
    }

    /// Each piece sums its own rows; the sums are then added in order, whatever the number of threads.
    fn weight_gradient(self, x: &[f32], g: &[f32], width: usize) -> Vec<f32> {
        let piece = width * parallel::rows_per_piece(width);
        let parts = parallel::map(x.chunks(piece).zip(g.chunks(piece)), |(x, g)| {
            let mut dw = vec![0.0; width];
            x.chunks(width)
                .zip(g.chunks(width))
                .for_each(|(x, g)| kernel::rms_norm_weight(x, g, self.eps, &mut dw));
            dw
        });
        let mut dw = vec![0.0; width];
        parts.iter().for_each(|part| kernel::add(&mut dw, part));
        dw
    }
}

struct Frozen {
    w: Tensor,
    norm: Norm,
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((self.norm.forward(floats(x, layout)?, &Floats::read(&self.w)?), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.norm.input_gradient(x, &Floats::read(g)?, &Floats::read(&self.w)?).map(Some)
    }
}

struct Trained {
    norm: Norm,
}

impl CustomOp2 for Trained {
    fn name(&self) -> &'static str {
        "rms-norm-trained"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((
            self.norm.forward(floats(x, x_layout)?, floats(w, w_layout)?),
            x_layout.shape().clone(),
        ))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let g = Floats::read(g)?;
        let dx =
            x.track_op().then(|| self.norm.input_gradient(x, &g, &Floats::read(w)?)).transpose()?;
        let dw = self.norm.weight_gradient(&Floats::read(x)?, &g, w.elem_count());
        Ok((dx, Some(Tensor::from_vec(dw, w.dims(), w.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, normal};
    use super::*;

    #[test]
    fn a_frozen_weight_passes_the_gradient_to_the_input() {
        let w = normal("frozen w", &[37]);
        check("rms norm", &[&[2, 5, 37]], |x| rms_norm(&x[0], &w, 1e-5));
    }

    #[test]
    fn a_trained_weight_gets_the_sum_over_all_rows() {
        // Many rows, so that several pieces are summed.
        check("trained rms norm", &[&[3, 200, 37], &[37]], |x| rms_norm(&x[0], &x[1], 1e-5));
    }
}
