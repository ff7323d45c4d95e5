//! Tensors as slices of 32-bit numbers, where they are on the processor.

use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Layout, Result, Storage, StorageRef, Tensor, bail};
use half::slice::HalfFloatSliceExt;

use crate::DType;

/// Whether the fused operations can work on this activation.
pub(crate) fn is_native(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The elements of a contiguous argument of a CustomOp.
pub(crate) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("a fused operation got an argument that is not contiguous 32-bit numbers"),
    }
}

/// The elements of a tensor: borrowed when they are contiguous 32-bit numbers, else widened or gathered.
pub(crate) enum Floats<'a> {
    Borrowed(StorageRef<'a>, Range<usize>),
    Owned(Vec<f32>),
}

impl<'a> Floats<'a> {
    /// Reads a tensor that is on the processor.
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
                _ => unreachable!("invariant: `read` borrows 32-bit numbers on the processor only"),
            },
        }
    }
}
