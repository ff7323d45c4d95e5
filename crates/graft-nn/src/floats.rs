//! Tensors on the CPU as slices of f32.

use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Layout, Result, Storage, StorageRef, Tensor, bail};
use half::slice::HalfFloatSliceExt;

use crate::DType;

/// Whether the fused operations support this activation: f32 on the CPU.
pub(crate) fn is_native(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The elements of a contiguous f32 argument of a CustomOp.
pub(crate) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("a fused operation needs contiguous f32 arguments"),
    }
}

/// The elements of a tensor in f32: borrowed if they are contiguous f32, otherwise converted or
/// copied.
pub(crate) enum Floats<'a> {
    Borrowed(StorageRef<'a>, Range<usize>),
    Owned(Vec<f32>),
}

impl<'a> Floats<'a> {
    /// Reads a tensor on the CPU.
    pub(crate) fn read(tensor: &'a Tensor) -> Result<Self> {
        if let (true, Some((start, end))) =
            (tensor.device().is_cpu(), tensor.layout().contiguous_offsets())
        {
            let storage = tensor.storage_and_layout().0;
            match &*storage {
                Storage::Cpu(CpuStorage::F32(_)) => return Ok(Self::Borrowed(storage, start..end)),
                Storage::Cpu(CpuStorage::BF16(values)) => {
                    return Ok(Self::Owned(values[start..end].to_f32_vec()));
                }
                Storage::Cpu(CpuStorage::F16(values)) => {
                    return Ok(Self::Owned(values[start..end].to_f32_vec()));
                }
                _ => {}
            }
        }
        Ok(Self::Owned(tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?))
    }
}

impl Deref for Floats<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Owned(values) => values,
            Self::Borrowed(storage, range) => match &**storage {
                Storage::Cpu(CpuStorage::F32(values)) => &values[range.clone()],
                _ => unreachable!("invariant: `read` borrows only f32 storage on the CPU"),
            },
        }
    }
}
