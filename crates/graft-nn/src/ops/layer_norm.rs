//! Layer normalisation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};

use super::linear::check_width;
use super::{bias_add, portable};
use crate::floats::{Floats, floats, is_native};
use crate::{NnError, Result, Tensor, kernel, parallel};

/// `y = (x - mean(x)) / sqrt(var(x) + eps) ∘ w + b` over the last dimension; `b` may be absent.
///
/// A frozen `w` and `b` cost nothing backwards. Whatever of them is in the graph gets its gradient.
///
/// # Shapes
/// `x: (.., C)`, `w, b: (C)` -> `(.., C)`
/// # Errors
/// [`NnError::Shape`] when the widths differ.
/// # Source
/// Ba, Kiros and Hinton 2016, arXiv:1607.06450
pub fn layer_norm(x: &Tensor, w: &Tensor, b: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let width = w.dims1()?;
    check_width("input of a norm", x, width)?;
    if let Some(b) = b.filter(|b| b.dims() != [width]) {
        return Err(NnError::Shape {
            what: "bias of a norm",
            expected: format!("[{width}]"),
            found: b.dims().to_vec(),
        });
    }
    if !is_native(x) {
        return portable::layer_norm(x, w, b, eps);
    }
    let (x, norm) = (x.contiguous()?, Norm { eps: eps as f32 });
    match (w.track_op(), b.filter(|b| b.track_op())) {
        (false, None) => Ok(x.apply_op1(Frozen { w: w.clone(), b: b.cloned(), norm })?),
        (false, Some(trained)) => {
            bias_add(&x.apply_op1(Frozen { w: w.clone(), b: None, norm })?, trained)
        }
        (true, _) => {
            let y = x.apply_op2(&w.contiguous()?, Trained { norm })?;
            b.map_or(Ok(y.clone()), |b| bias_add(&y, b))
        }
    }
}

#[derive(Clone, Copy)]
struct Norm {
    eps: f32,
}

impl Norm {
    fn forward(self, x: &[f32], w: &[f32], b: &[f32]) -> CpuStorage {
        let piece = w.len() * parallel::rows_per_piece(w.len());
        let mut y = vec![0.0; x.len()];
        parallel::each(x.chunks(piece).zip(y.chunks_mut(piece)), |(x, y)| {
            x.chunks(w.len())
                .zip(y.chunks_mut(w.len()))
                .for_each(|(x, y)| kernel::layer_norm(x, w, b, self.eps, y));
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
                rows.for_each(|((x, g), dx)| kernel::layer_norm_backward(x, g, w, self.eps, dx));
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
                .for_each(|(x, g)| kernel::layer_norm_weight(x, g, self.eps, &mut dw));
            dw
        });
        let mut dw = vec![0.0; width];
        parts.iter().for_each(|part| kernel::add(&mut dw, part));
        dw
    }
}

struct Frozen {
    w: Tensor,
    b: Option<Tensor>,
    norm: Norm,
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (w, b) = (Floats::read(&self.w)?, self.b.as_ref().map(Floats::read).transpose()?);
        Ok((
            self.norm.forward(floats(x, layout)?, &w, b.as_deref().unwrap_or_default()),
            layout.shape().clone(),
        ))
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
        "layer-norm-trained"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((
            self.norm.forward(floats(x, x_layout)?, floats(w, w_layout)?, &[]),
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
    use super::super::check::{assert_close, check, flat, normal};
    use super::*;
    use crate::DType;

    #[test]
    fn frozen_weights_pass_the_gradient_to_the_input() {
        let (w, b) = (normal("frozen w", &[37]), normal("frozen b", &[37]));
        check("layer norm", &[&[2, 5, 37]], |x| layer_norm(&x[0], &w, Some(&b), 1e-5));
        check("layer norm without a bias", &[&[2, 5, 37]], |x| layer_norm(&x[0], &w, None, 1e-5));
        check("layer norm far from zero", &[&[2, 5, 37]], |x| {
            layer_norm(&(&x[0] + 20.0)?, &w, Some(&b), 1e-12)
        });
    }

    #[test]
    fn what_is_trained_gets_the_sum_over_all_rows() {
        // Many rows, so that several pieces are summed.
        check("trained layer norm", &[&[3, 200, 37], &[37], &[37]], |x| {
            layer_norm(&x[0], &x[1], Some(&x[2]), 1e-5)
        });
        let w = normal("frozen w", &[37]);
        check("layer norm with a trained bias", &[&[3, 200, 37], &[37]], |x| {
            layer_norm(&x[0], &w, Some(&x[1]), 1e-5)
        });
        let b = normal("frozen b", &[37]);
        check("layer norm with a trained weight", &[&[3, 200, 37], &[37]], |x| {
            layer_norm(&x[0], &x[1], Some(&b), 1e-5)
        });
    }

    #[test]
    fn weights_stored_in_half_precision_are_widened() {
        let [x, w, b] = [("x", &[4, 37][..]), ("w", &[37]), ("b", &[37])]
            .map(|(name, dims)| normal(name, dims));
        let [half_w, half_b] = [&w, &b].map(|t| t.to_dtype(DType::BF16).expect("converts"));
        let [wide_w, wide_b] =
            [&half_w, &half_b].map(|t| t.to_dtype(DType::F32).expect("converts"));
        let exact = layer_norm(&x, &wide_w, Some(&wide_b), 1e-5).expect("works");
        assert_close(
            "half",
            &flat(&layer_norm(&x, &half_w, Some(&half_b), 1e-5).expect("works")),
            &flat(&exact),
        );
    }

    #[test]
    fn widths_that_differ_are_refused() {
        let [x, w] = [normal("x", &[4, 6]), normal("w", &[6])];
        assert!(layer_norm(&x, &normal("w", &[5]), None, 1e-5).is_err());
        assert!(layer_norm(&x, &w, Some(&normal("b", &[5])), 1e-5).is_err());
    }
}
