//! Embedding lookup.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use super::portable;
use crate::floats::{Floats, floats, is_native};
use crate::{NnError, Result, Tensor, kernel};

/// `y = w[id]`: the row of `w` for every id.
///
/// # Shapes
/// `ids: (..)` `u32`, `w: (V, C)` -> `(.., C)`, in f32 if the table is stored in half precision
/// # Errors
/// [`NnError::OutOfRange`] for an id outside the table.
pub fn embedding(ids: &Tensor, w: &Tensor) -> Result<Tensor> {
    let limit = w.dims2()?.0;
    let numbers = ids.flatten_all()?.to_vec1::<u32>()?;
    if let Some(id) = numbers.iter().find(|id| **id as usize >= limit) {
        return Err(NnError::OutOfRange { what: "token", index: i64::from(*id), limit });
    }
    if !is_native(w) || !w.is_variable() {
        return portable::embedding(ids, w);
    }
    Ok(w.apply_op1(TableRows { numbers, dims: ids.dims().to_vec() })?)
}

/// TableRows of a trained table.
struct TableRows {
    numbers: Vec<u32>,
    dims: Vec<usize>,
}

impl CustomOp1 for TableRows {
    fn name(&self) -> &'static str {
        "embedding-trained"
    }

    fn cpu_fwd(&self, w: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let w = floats(w, layout)?;
        let width = layout.shape().dims2()?.1;
        let mut y = Vec::with_capacity(self.numbers.len() * width);
        self.numbers.iter().for_each(|id| y.extend_from_slice(&w[*id as usize * width..][..width]));
        let dims = self.dims.iter().copied().chain([width]).collect::<Vec<_>>();
        Ok((CpuStorage::F32(y), Shape::from(dims)))
    }

    fn bwd(&self, w: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let g = Floats::read(g)?;
        let width = w.dims2()?.1;
        let mut dw = vec![0.0; w.elem_count()];
        for (id, row) in self.numbers.iter().zip(g.chunks(width)) {
            kernel::add(&mut dw[*id as usize * width..][..width], row);
        }
        Tensor::from_vec(dw, w.dims(), w.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, flat, normal};
    use super::*;
    use crate::{DType, Device};

    fn ids(values: &[u32]) -> Tensor {
        Tensor::from_slice(values, (2, values.len() / 2), &Device::Cpu).expect("ids")
    }

    #[test]
    fn a_trained_table_collects_the_gradient_of_repeated_tokens() {
        check("trained embedding", &[&[7, 5]], |w| embedding(&ids(&[1, 6, 1, 0, 1, 3]), &w[0]));
    }

    #[test]
    fn a_frozen_table_in_half_precision_returns_f32_rows() {
        let w = normal("w", &[7, 5]).to_dtype(DType::BF16).expect("converts");
        let rows = embedding(&ids(&[6, 2]), &w).expect("works");
        assert_eq!((rows.dims(), rows.dtype()), (&[2, 1, 5][..], DType::F32));
        assert_eq!(flat(&rows)[..5], flat(&w)[30..]);
    }

    #[test]
    fn a_token_outside_the_table_is_named() {
        let error = embedding(&ids(&[0, 7]), &normal("w", &[7, 5])).expect_err("refused");
        assert_eq!(error.to_string(), "token 7 is outside 0..7");
    }
}
