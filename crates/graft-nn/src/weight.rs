//! Weights of linear layers: dense or quantized.

use std::sync::Arc;

use crate::floats::Floats;
use crate::{DType, Packed, Result, Tensor};

/// The weight of a linear layer: a tensor, or a quantized matrix that is unpacked temporarily for
/// each product.
#[derive(Clone, Debug)]
pub enum Weight {
    /// A tensor; part of the graph if it is trained.
    Dense(Tensor),
    /// A quantized matrix, always frozen.
    Packed(Arc<Packed>),
}

impl Weight {
    /// (d_out, d_in)
    ///
    /// # Errors
    /// Returns an error if the weight is not a matrix.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(tensor) => Ok(tensor.dims2()?),
            Self::Packed(packed) => Ok(packed.dims()),
        }
    }

    /// The weight as a tensor. A quantized weight is unpacked to f32 and occupies that memory as
    /// long as the tensor lives.
    pub fn tensor(&self) -> Tensor {
        match self {
            Self::Dense(tensor) => tensor.clone(),
            // The GPU has too little free memory. The next operation fails, since this tensor is on
            // the CPU.
            Self::Packed(packed) => packed.tensor().unwrap_or_else(|_| packed.on_cpu()),
        }
    }

    /// The type of both factors of the product with `x`: that of `x`, except that a GPU multiplies
    /// bf16 by bf16 and accumulates in f32.
    pub(crate) fn factor_dtype(&self, x: &Tensor) -> DType {
        if self.dtype() == DType::BF16 && x.device().is_cuda() { DType::BF16 } else { x.dtype() }
    }

    /// The weight as a contiguous factor of type `dtype` on the device of the product.
    pub(crate) fn factor(&self, dtype: DType) -> Result<Tensor> {
        let tensor = match self {
            Self::Dense(tensor) => tensor.clone(),
            Self::Packed(packed) => packed.tensor()?,
        };
        Ok(tensor.to_dtype(dtype)?.contiguous()?)
    }

    /// The type of the weight; f32 for a quantized weight, which is replaced by f32 values.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(tensor) => tensor.dtype(),
            Self::Packed(_) => DType::F32,
        }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Dense(tensor) => tensor.elem_count() * tensor.dtype().size_in_bytes(),
            Self::Packed(packed) => packed.bytes(),
        }
    }

    /// The tensor, if it needs a gradient.
    pub(crate) fn tracked(&self) -> Option<&Tensor> {
        match self {
            Self::Dense(tensor) if tensor.track_op() => Some(tensor),
            _ => None,
        }
    }

    /// The elements in f32, row by row.
    pub(crate) fn floats(&self) -> candle_core::Result<Floats<'_>> {
        match self {
            Self::Dense(tensor) => Floats::read(tensor),
            Self::Packed(packed) => Ok(Floats::Owned(packed.unpack())),
        }
    }
}

impl From<Tensor> for Weight {
    fn from(tensor: Tensor) -> Self {
        Self::Dense(tensor)
    }
}

impl From<&Tensor> for Weight {
    fn from(tensor: &Tensor) -> Self {
        Self::Dense(tensor.clone())
    }
}

impl From<&Self> for Weight {
    fn from(weight: &Self) -> Self {
        weight.clone()
    }
}
