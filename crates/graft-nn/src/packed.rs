//! Quantized frozen matrices, as the base weights of QLoRA.
//!
//! * [`Nf4`]: 4-bit NormalFloat of bitsandbytes, optionally with double quantization.
//! * [`Int8`]: 8-bit integers with one scale per row.
//! * [`Ggml`]: the block formats of GGUF files, Q4_0 to Q8_0 and the K-quants.

mod byte_blocks;
mod ggml;
mod int8;
mod nf4;
mod resident;

pub use byte_blocks::ByteBlocks;
pub use ggml::Ggml;
pub use int8::Int8;
pub use nf4::{NF4, Nf4, Scales};

use crate::{DType, Device, NnError, Result, Tensor};
use resident::Resident;

/// A quantization method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantization {
    /// 4-bit NormalFloat in blocks of 64: 4.5 bits per value, or 4.127 with double quantization,
    /// which also quantizes the scales of the blocks to 8 bits.
    Nf4 {
        /// Whether to use double quantization.
        double: bool,
    },
    /// 8-bit integers with one scale per row.
    Int8,
}

impl Quantization {
    /// Size of a quantized matrix (d_out, d_in) in bytes, scales included.
    pub fn bytes(self, (d_out, d_in): (usize, usize)) -> usize {
        let count = d_out * d_in;
        match self {
            Self::Nf4 { double } => nf4::bytes(count, double),
            Self::Int8 => count + 4 * d_out,
        }
    }
}

/// A quantized matrix (d_out, d_in).
#[derive(Clone, Debug)]
pub struct Packed {
    dims: (usize, usize),
    /// In main memory, from where it is saved, even if a GPU computes the products.
    numbers: Numbers,
    /// A copy on the GPU that computes the products.
    resident: Option<Resident>,
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        (self.dims, &self.numbers) == (other.dims, &other.numbers)
    }
}

/// The quantized values, row by row.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// 4-bit NormalFloat.
    Nf4(Nf4),
    /// 8-bit integers.
    Int8(Int8),
    /// The blocks of a GGUF file.
    Ggml(Ggml),
}

impl Packed {
    /// Quantizes a matrix on the CPU.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the tensor is not a matrix or is empty, [`NnError::NotFinite`] if it
    /// contains NaN or infinite values.
    pub fn new(matrix: &Tensor, quantization: Quantization) -> Result<Self> {
        let dims = match matrix.dims()[..] {
            [d_out, d_in] if d_out * d_in > 0 => (d_out, d_in),
            _ => {
                return Err(NnError::Shape {
                    what: "weight to quantize",
                    expected: "(d_out, d_in)".to_owned(),
                    found: matrix.dims().to_vec(),
                });
            }
        };
        let values: Vec<f32> = matrix.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(NnError::NotFinite { what: "weight to quantize" });
        }
        let numbers = match quantization {
            Quantization::Nf4 { double } => Numbers::Nf4(Nf4::pack(&values, double)),
            Quantization::Int8 => Numbers::Int8(Int8::pack(&values, dims.1)),
        };
        Ok(Self { dims, numbers, resident: None })
    }

    /// A matrix that is already quantized, for example by bitsandbytes.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the number of codes or scales does not match the dimensions.
    pub fn from_numbers(dims: (usize, usize), numbers: Numbers) -> Result<Self> {
        let fits = match &numbers {
            Numbers::Nf4(nf4) => nf4.fits(dims.0 * dims.1),
            Numbers::Int8(int8) => int8.fits(dims),
            Numbers::Ggml(ggml) => ggml.fits(dims),
        };
        if fits {
            return Ok(Self { dims, numbers, resident: None });
        }
        Err(NnError::Shape {
            what: "packed numbers",
            expected: format!("those of ({}, {})", dims.0, dims.1),
            found: vec![numbers.bytes()],
        })
    }

    /// Copies the matrix in quantized form to `device`, where it is unpacked for each product.
    ///
    /// # Errors
    /// [`NnError::GpuFull`] if the device has too little free memory.
    pub fn to_device(self, device: &Device) -> Result<Self> {
        let resident = if device.is_cpu() {
            None
        } else {
            Some(Resident::new(&self.numbers, self.dims, device)?)
        };
        Ok(Self { resident, ..self })
    }

    /// (d_out, d_in)
    pub fn dims(&self) -> (usize, usize) {
        self.dims
    }

    /// Name of the format: `nf4`, `int8`, or a block format of GGUF such as `q4_k`.
    pub fn name(&self) -> &'static str {
        match &self.numbers {
            Numbers::Nf4(_) => "nf4",
            Numbers::Int8(_) => "int8",
            Numbers::Ggml(ggml) => ggml.name(),
        }
    }

    /// The quantized values.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Size in bytes, scales included.
    pub fn bytes(&self) -> usize {
        self.numbers.bytes()
    }

    /// Dequantizes the matrix to f32, row by row.
    pub fn unpack(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.dims.0 * self.dims.1];
        match &self.numbers {
            Numbers::Nf4(nf4) => nf4.unpack(&mut values),
            Numbers::Int8(int8) => int8.unpack(&mut values, self.dims.1),
            Numbers::Ggml(ggml) => ggml.unpack(&mut values),
        }
        values
    }

    /// Dequantizes the matrix to an f32 tensor (d_out, d_in) on the device of its products.
    ///
    /// # Errors
    /// [`NnError::GpuFull`] if a GPU has too little free memory; never on the CPU.
    pub fn tensor(&self) -> Result<Tensor> {
        match &self.resident {
            Some(resident) => resident.tensor(self.dims),
            None => Ok(self.on_cpu()),
        }
    }

    /// Dequantizes the matrix to an f32 tensor in main memory.
    pub(crate) fn on_cpu(&self) -> Tensor {
        match Tensor::from_vec(self.unpack(), self.dims, &Device::Cpu) {
            Ok(tensor) => tensor,
            Err(_) => unreachable!("invariant: `unpack` returns d_out * d_in values"),
        }
    }
}

impl Numbers {
    fn bytes(&self) -> usize {
        match self {
            Self::Nf4(nf4) => nf4.bytes(),
            Self::Int8(int8) => int8.bytes(),
            Self::Ggml(ggml) => ggml.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
