//! Views of the operands of attention: rows, heads, sequences and blocks of queries.

use candle_core::{CpuStorage, Layout, Tensor, bail};

use crate::matrix::{Matrix, MatrixMut};

/// The rows of several sequences, possibly a view of a larger buffer, as the key-value cache
/// returns.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) batch_stride: usize,
    pub(super) row_stride: usize,
    pub(super) width: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<Self> {
        let width = layout.shape().dims3()?.2;
        match (storage, layout.stride()) {
            (CpuStorage::F32(values), [batch_stride, row_stride, 1]) => {
                let batch_stride = *batch_stride;
                let row_stride = *row_stride;
                Ok(Self { data: &values[layout.start_offset()..], batch_stride, row_stride, width })
            }
            _ => bail!("attention needs arguments with contiguous f32 rows"),
        }
    }

    /// One head of the rows of one sequence, (count, D).
    pub(super) fn head(
        &self,
        sequence: Sequence,
        count: usize,
        head: usize,
        head_dim: usize,
    ) -> Matrix<'a> {
        let start = sequence.batch * self.batch_stride + sequence.start * self.row_stride;
        Matrix::strided(&self.data[start..], count, self.width, self.row_stride)
            .columns(head * head_dim, head_dim)
    }
}

/// The tensor itself if its last dimension is contiguous, otherwise a contiguous copy.
pub(in crate::ops::attention) fn with_rows(tensor: &Tensor) -> candle_core::Result<Tensor> {
    if tensor.stride().last() == Some(&1) { Ok(tensor.clone()) } else { tensor.contiguous() }
}

/// The sizes of one call.
#[derive(Clone, Copy)]
pub(super) struct AttentionSizes {
    pub(super) batch: usize,
    pub(super) tokens: usize,
    pub(super) keys: usize,
    pub(super) head_dim: usize,
}

/// Queries and keys that attend to each other: a row of the batch, or one of the sequences packed
/// into its only row.
#[derive(Clone, Copy)]
pub(super) struct Sequence {
    pub(super) batch: usize,
    /// Its first position in the row of the batch.
    pub(super) start: usize,
    pub(super) tokens: usize,
    pub(super) keys: usize,
}

/// A block of consecutive queries, and the number of keys visible to any of them.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) seen: usize,
}

/// The gradients of one head of keys and values and its query heads.
pub(super) struct GroupGradients<'a> {
    pub(super) dq: Vec<MatrixMut<'a>>,
    pub(super) dk: MatrixMut<'a>,
    pub(super) dv: MatrixMut<'a>,
}

/// The heads of consecutive sequences, sequence by sequence.
pub(super) fn heads(
    mut data: &mut [f32],
    lengths: impl Iterator<Item = usize>,
    width: usize,
    head_dim: usize,
) -> Vec<MatrixMut<'_>> {
    let of_sequence = move |rows: usize| {
        let (one, others) = std::mem::take(&mut data).split_at_mut(rows * width);
        data = others;
        MatrixMut::new(one, rows, width).column_blocks(head_dim)
    };
    lengths.flat_map(of_sequence).collect()
}
