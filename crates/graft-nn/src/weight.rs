//! A weight as a linear map multiplies by it.

use std::sync::Arc;

use crate::floats::Floats;
use crate::{DType, Packed, Result, Tensor};

/// A tensor, or numbers packed into 4 or 8 bits, which are unpacked for each product and forgotten behind it.
#[derive(Clone, Debug)]
pub enum Weight {
    /// Numbers as they are; in the graph where they are trained.
    Dense(Tensor),
    /// Packed numbers, always frozen.
    Packed(Arc<Packed>),
}

impl Weight {
    /// (d_out, d_in)
    ///
    /// # Errors
    /// When it is no matrix.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(tensor) => Ok(tensor.dims2()?),
            Self::Packed(packed) => Ok(packed.dims()),
        }
    }

    /// Its numbers as a tensor: 32-bit ones when they have to be unpacked, which takes their memory for as long as the tensor lives.
    pub fn tensor(&self) -> Tensor {
        match self {
            Self::Dense(tensor) => tensor.clone(),
            // A card without room for it: whatever comes next refuses numbers that are elsewhere.
            Self::Packed(packed) => packed.tensor().unwrap_or_else(|_| packed.on_cpu()),
        }
    }

    /// The type of both factors when `x` is multiplied by it: that of `x`, but that a card multiplies bf16 by bf16 and sums in 32 bits.
    pub(crate) fn factor_dtype(&self, x: &Tensor) -> DType {
        if self.dtype() == DType::BF16 && x.device().is_cuda() { DType::BF16 } else { x.dtype() }
    }

    /// Its numbers as a factor of that type, without gaps between them, on the device that multiplies by it.
    pub(crate) fn factor(&self, dtype: DType) -> Result<Tensor> {
        let tensor = match self {
            Self::Dense(tensor) => tensor.clone(),
            Self::Packed(packed) => packed.tensor()?,
        };
        Ok(tensor.to_dtype(dtype)?.contiguous()?)
    }

    /// The type in which a value that takes its place is kept: packed numbers give way to 32-bit ones.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(tensor) => tensor.dtype(),
            Self::Packed(_) => DType::F32,
        }
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Dense(tensor) => tensor.elem_count() * tensor.dtype().size_in_bytes(),
            Self::Packed(packed) => packed.bytes(),
        }
    }

    /// The tensor of the graph, where gradients are wanted for it.
    pub(crate) fn tracked(&self) -> Option<&Tensor> {
        match self {
            Self::Dense(tensor) if tensor.track_op() => Some(tensor),
            _ => None,
        }
    }

    /// Its numbers, row by row.
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
