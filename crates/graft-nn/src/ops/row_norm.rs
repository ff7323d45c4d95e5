//! The fused forward and backward passes that layer norm and RMS norm share.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};

use crate::floats::{Floats, floats};
use crate::{Tensor, kernel, parallel};

/// The normalization of one row.
#[derive(Clone, Copy)]
pub(super) enum RowNorm {
    /// `x / sqrt(mean(x²) + eps) ∘ w`
    Rms {
        /// Added to the mean square.
        eps: f32,
    },
    /// `(x - mean(x)) / sqrt(var(x) + eps) ∘ w + b`
    Layer {
        /// Added to the variance.
        eps: f32,
    },
}

impl RowNorm {
    fn row(self, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
        match self {
            Self::Rms { eps } => kernel::rms_norm(x, w, eps, y),
            Self::Layer { eps } => kernel::layer_norm(x, w, b, eps, y),
        }
    }

    fn row_backward(self, x: &[f32], g: &[f32], w: &[f32], dx: &mut [f32]) {
        match self {
            Self::Rms { eps } => kernel::rms_norm_backward(x, g, w, eps, dx),
            Self::Layer { eps } => kernel::layer_norm_backward(x, g, w, eps, dx),
        }
    }

    fn row_weight_gradient(self, x: &[f32], g: &[f32], dw: &mut [f32]) {
        match self {
            Self::Rms { eps } => kernel::rms_norm_weight(x, g, eps, dw),
            Self::Layer { eps } => kernel::layer_norm_weight(x, g, eps, dw),
        }
    }

    fn forward(self, x: &[f32], w: &[f32], b: &[f32]) -> CpuStorage {
        let width = w.len();
        let piece = width * parallel::rows_per_piece(width);
        let mut y = vec![0.0; x.len()];
        parallel::each(x.chunks(piece).zip(y.chunks_mut(piece)), |(x, y)| {
            let rows = x.chunks(width).zip(y.chunks_mut(width));
            rows.for_each(|(x, y)| self.row(x, w, b, y));
        });
        CpuStorage::F32(y)
    }

    fn input_gradient(self, x: &Tensor, g: &[f32], w: &[f32]) -> candle_core::Result<Tensor> {
        let values = Floats::read(x)?;
        let width = w.len();
        let piece = width * parallel::rows_per_piece(width);
        let mut dx = vec![0.0; values.len()];
        let pieces = values.chunks(piece).zip(g.chunks(piece)).zip(dx.chunks_mut(piece));
        parallel::each(pieces, |((x, g), dx)| {
            let rows = x.chunks(width).zip(g.chunks(width)).zip(dx.chunks_mut(width));
            rows.for_each(|((x, g), dx)| self.row_backward(x, g, w, dx));
        });
        Tensor::from_vec(dx, x.dims(), x.device())
    }

    /// Each piece sums its own rows. The sums are then added in a fixed order, so that the result
    /// does not depend on the number of threads.
    fn weight_gradient(self, x: &[f32], g: &[f32], width: usize) -> Vec<f32> {
        let piece = width * parallel::rows_per_piece(width);
        let parts = parallel::map(x.chunks(piece).zip(g.chunks(piece)), |(x, g)| {
            let mut dw = vec![0.0; width];
            let rows = x.chunks(width).zip(g.chunks(width));
            rows.for_each(|(x, g)| self.row_weight_gradient(x, g, &mut dw));
            dw
        });
        let mut dw = vec![0.0; width];
        parts.iter().for_each(|part| kernel::add(&mut dw, part));
        dw
    }
}

/// A norm whose weight and bias are outside the graph.
pub(super) struct FrozenNorm {
    pub(super) w: Tensor,
    pub(super) b: Option<Tensor>,
    pub(super) norm: RowNorm,
}

impl CustomOp1 for FrozenNorm {
    fn name(&self) -> &'static str {
        match self.norm {
            RowNorm::Rms { .. } => "rms-norm",
            RowNorm::Layer { .. } => "layer-norm",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let w = Floats::read(&self.w)?;
        let b = self.b.as_ref().map(Floats::read).transpose()?;
        let y = self.norm.forward(floats(x, layout)?, &w, b.as_deref().unwrap_or_default());
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.norm.input_gradient(x, &Floats::read(g)?, &Floats::read(&self.w)?).map(Some)
    }
}

/// A norm without a bias whose weight is in the graph.
pub(super) struct TrainedNorm(pub(super) RowNorm);

impl CustomOp2 for TrainedNorm {
    fn name(&self) -> &'static str {
        match self.0 {
            RowNorm::Rms { .. } => "rms-norm-trained",
            RowNorm::Layer { .. } => "layer-norm-trained",
        }
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let y = self.0.forward(floats(x, x_layout)?, floats(w, w_layout)?, &[]);
        Ok((y, x_layout.shape().clone()))
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
            x.track_op().then(|| self.0.input_gradient(x, &g, &Floats::read(w)?)).transpose()?;
        let dw = self.0.weight_gradient(&Floats::read(x)?, &g, w.elem_count());
        Ok((dx, Some(Tensor::from_vec(dw, w.dims(), w.device())?)))
    }
}
