//! Linear layer with a trained low-rank update (LoRA).

use std::borrow::Cow;

use candle_core::{CpuStorage, CustomOp3, Layout, Shape};

use super::portable;
use super::width::{check_width, with_width};
use crate::dropout::PIECE;
use crate::floats::{Floats, floats, is_native};
use crate::matrix::{Matrix, MatrixMut};
use crate::{DropoutMask, NnError, Result, Tensor, Weight, kernel, parallel};

/// The low-rank update `ΔW = s B A` of a weight.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// The matrix A, (R, d_in).
    pub a: Tensor,
    /// The matrix B, (d_out, R).
    pub b: Tensor,
    /// The scale s.
    pub scale: f64,
    /// The dropout mask m of the input of A; `None` in evaluation.
    pub dropout: Option<DropoutMask>,
}

/// `y = x Wᵀ + s (m ∘ x) Aᵀ Bᵀ`, fused so that ΔW is never computed.
///
/// # Shapes
/// `x: (.., d_in)`, `w: (d_out, d_in)` -> `(.., d_out)`
/// # Errors
/// [`NnError::Shape`] if the widths or the ranks differ.
/// # Source
/// Hu et al. 2021, arXiv:2106.09685 section 4.1
pub fn lora_linear(x: &Tensor, w: impl Into<Weight>, update: &LowRank) -> Result<Tensor> {
    let w = w.into();
    check(x, w.dims2()?, update)?;
    if !is_native(x) || w.tracked().is_some() {
        return portable::lora_linear(x, &w, update);
    }
    let op = LoraLinear { w, scale: update.scale as f32, dropout: update.dropout.clone() };
    Ok(x.contiguous()?.apply_op3(&update.a.contiguous()?, &update.b.contiguous()?, op)?)
}

fn check(x: &Tensor, (d_out, d_in): (usize, usize), update: &LowRank) -> Result<()> {
    let (rank, _) = update.a.dims2()?;
    check_width("input of a linear layer", x, d_in)?;
    for (what, matrix, expected) in
        [("lora_A", &update.a, [rank, d_in]), ("lora_B", &update.b, [d_out, rank])]
    {
        if matrix.dims() != expected {
            return Err(NnError::Shape {
                what,
                expected: format!("{expected:?}"),
                found: matrix.dims().to_vec(),
            });
        }
    }
    Ok(())
}

struct LoraLinear {
    w: Weight,
    scale: f32,
    dropout: Option<DropoutMask>,
}

impl LoraLinear {
    /// `m ∘ x`, the input of A.
    fn dropped<'a>(&self, x: &'a [f32]) -> Cow<'a, [f32]> {
        let Some(mask) = &self.dropout else { return Cow::Borrowed(x) };
        let mut dropped = vec![0.0; x.len()];
        let pieces = x.chunks(PIECE).zip(dropped.chunks_mut(PIECE)).enumerate();
        parallel::each(pieces, |(piece, (x, dropped))| mask.apply(piece, x, dropped));
        Cow::Owned(dropped)
    }

    /// `dx += m ∘ (dh A)`
    fn add_through_a(
        &self,
        dh: Matrix<'_>,
        a: Matrix<'_>,
        dx: &mut [f32],
        (rows, d_in): (usize, usize),
    ) {
        if self.dropout.is_none() {
            return dh.times(a).add_to(&mut MatrixMut::new(dx, rows, d_in));
        }
        let gradient = dh.times(a).collect(); // (N, d_in)
        let dropped = self.dropped(&gradient);
        parallel::each(dx.chunks_mut(PIECE).zip(dropped.chunks(PIECE)), |(dx, dropped)| {
            kernel::add(dx, dropped)
        });
    }
}

impl CustomOp3 for LoraLinear {
    fn name(&self) -> &'static str {
        "lora-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let ((rank, d_in), (d_out, _)) = (a_layout.shape().dims2()?, b_layout.shape().dims2()?);
        let x = floats(x, x_layout)?;
        let w = self.w.floats()?;
        let rows = x.len() / d_in;
        let a = Matrix::new(floats(a, a_layout)?, rank, d_in);
        let b = Matrix::new(floats(b, b_layout)?, d_out, rank);
        let h = Matrix::new(&self.dropped(x), rows, d_in).times(a.t()).collect(); // (N, R)
        let mut y = Matrix::new(x, rows, d_in).times(Matrix::new(&w, d_out, d_in).t()).collect(); // (N, d_out)
        Matrix::new(&h, rows, rank)
            .times(b.t())
            .scale(self.scale)
            .add_to(&mut MatrixMut::new(&mut y, rows, d_out));
        Ok((CpuStorage::F32(y), with_width(x_layout.dims(), d_out)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((rank, d_in), d_out) = (a.dims2()?, b.dims2()?.0);
        let x_values = Floats::read(x)?;
        let a_values = Floats::read(a)?;
        let b_values = Floats::read(b)?;
        let g = Floats::read(g)?;
        let rows = x_values.len() / d_in;
        let dropped = self.dropped(&x_values);
        let dropped = Matrix::new(&dropped, rows, d_in);
        let g = Matrix::new(&g, rows, d_out);
        let a_matrix = Matrix::new(&a_values, rank, d_in);
        let b_matrix = Matrix::new(&b_values, d_out, rank);

        let h = dropped.times(a_matrix.t()).collect(); // (N, R)
        let dh = g.times(b_matrix).scale(self.scale).collect(); // (N, R)
        let dh = Matrix::new(&dh, rows, rank);
        let db = g.t().times(Matrix::new(&h, rows, rank)).scale(self.scale).collect(); // (d_out, R)
        let da = dh.t().times(dropped).collect(); // (R, d_in)
        let dx = if x.track_op() {
            let w = self.w.floats()?;
            let mut dx = g.times(Matrix::new(&w, d_out, d_in)).collect(); // (N, d_in)
            self.add_through_a(dh, a_matrix, &mut dx, (rows, d_in));
            Some(Tensor::from_vec(dx, x.dims(), x.device())?)
        } else {
            None
        };
        let device = x.device();
        Ok((
            dx,
            Some(Tensor::from_vec(da, (rank, d_in), device)?),
            Some(Tensor::from_vec(db, (d_out, rank), device)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_close, check, flat, normal};
    use super::*;
    use crate::{DType, Dropout, Packed, Quantization};

    fn update(x: &[Tensor], dropout: Option<DropoutMask>) -> LowRank {
        LowRank { a: x[1].clone(), b: x[2].clone(), scale: 1.75, dropout }
    }

    #[test]
    fn it_is_the_frozen_map_plus_the_scaled_update() {
        let w = normal("frozen w", &[5, 7]);
        check("lora", &[&[2, 3, 7], &[3, 7], &[5, 3]], |x| {
            lora_linear(&x[0], &w, &update(x, None))
        });
    }

    #[test]
    fn dropout_falls_on_the_update_alone_and_again_in_the_backward_pass() {
        let (w, mask) = (normal("frozen w", &[5, 33]), Dropout::new(1, 2, 3).mask("layer", 0.4));
        // More elements than one piece of a mask, and a last piece that is not full.
        check("lora with dropout", &[&[3, 61, 33], &[2, 33], &[5, 2]], |x| {
            lora_linear(&x[0], &w, &update(x, mask.clone()))
        });
    }

    #[test]
    fn a_half_precision_weight_has_the_gradient_of_the_f32_one() {
        let stored = normal("frozen w", &[5, 7]).to_dtype(DType::BF16).expect("converts");
        check("lora on bf16", &[&[4, 7], &[3, 7], &[5, 3]], |x| {
            lora_linear(&x[0], &stored, &update(x, None))
        });
    }

    #[test]
    fn the_gradient_flows_through_a_packed_weight() {
        let packed = Packed::new(&normal("frozen w", &[5, 7]), Quantization::Nf4 { double: true })
            .expect("packs");
        let packed = crate::Weight::Packed(std::sync::Arc::new(packed));
        check("lora on 4 bits", &[&[4, 7], &[3, 7], &[5, 3]], |x| {
            lora_linear(&x[0], &packed, &update(x, None))
        });
    }

    #[test]
    fn a_trained_base_weight_gets_its_gradient_too() {
        check("lora on a trained weight", &[&[4, 7], &[3, 7], &[5, 3], &[5, 7]], |x| {
            lora_linear(&x[0], &x[3], &update(x, None))
        });
    }

    #[test]
    fn matrices_of_another_layer_are_refused_with_the_reason() {
        let [x, w, a, b] = [("x", [4, 7]), ("w", [5, 7]), ("a", [3, 7]), ("b", [6, 3])]
            .map(|(name, dims)| normal(name, &dims));
        let error =
            lora_linear(&x, &w, &LowRank { a, b, scale: 1.0, dropout: None }).expect_err("refused");
        assert_eq!(error.to_string(), "lora_B: expected [5, 3], found [6, 3]");
    }

    #[test]
    fn with_b_zero_the_output_is_the_frozen_maps() {
        let (x, w) = (normal("x", &[4, 7]), normal("w", &[5, 7]));
        let zero = LowRank {
            a: normal("a", &[3, 7]),
            b: normal("b", &[5, 3]).zeros_like().expect("zeros"),
            scale: 2.0,
            dropout: None,
        };
        let plain = crate::ops::linear(&x, &w).expect("works");
        assert_close("zero", &flat(&lora_linear(&x, &w, &zero).expect("works")), &flat(&plain));
    }
}
