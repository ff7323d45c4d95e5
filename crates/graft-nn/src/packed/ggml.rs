//! The block formats of ggml, which GGUF files use: Q4_0 to Q8_0 and the K-quants.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use crate::parallel;
use crate::{Device, Result};

/// A matrix in one of ggml's block formats, dequantized by candle.
///
/// Each row is divided into blocks of 32 values (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0) or 256 values (the
/// K-quants Q2_K to Q6_K). A block has a scale `d` in f16 and its codes:
///
/// * `Qn_0`: `value = d * (code - 2^(n-1))`, and `value = d * code` for Q8_0.
/// * `Qn_1`: `value = d * code + m`, with a minimum `m` in f16.
/// * K-quants: a super-block of 256 values is divided into sub-blocks of 16 or 32, whose scales
///   (and minima) are themselves quantized to 4, 6 or 8 bits.
///
/// # Source
/// ggml's `ggml-common.h` and `ggml-quants.c`; candle-core's `quantized`
#[derive(Clone)]
pub struct Ggml {
    kind: GgmlDType,
    /// Row by row, as in the file.
    bytes: std::sync::Arc<[u8]>,
    width: usize,
}

impl Ggml {
    /// The blocks of rows of `width` values.
    ///
    /// # Errors
    /// Returns a description of the problem if `width` is not a multiple of the block size, or the
    /// bytes are not a multiple of the row size.
    pub fn new(kind: GgmlDType, bytes: Vec<u8>, width: usize) -> std::result::Result<Self, String> {
        if width == 0 || !width.is_multiple_of(kind.block_size()) {
            return Err(format!(
                "rows of {width} values are not a multiple of the block size {} ({kind:?})",
                kind.block_size()
            ));
        }
        let packed = Self { kind, bytes: bytes.into(), width };
        match packed.bytes.len() % packed.row() {
            0 => Ok(packed),
            _ => Err(format!(
                "{} bytes are not a multiple of the row size {} ({kind:?})",
                packed.bytes.len(),
                packed.row()
            )),
        }
    }

    /// Reorders the rows: row `i` of the result is row `from(i)`.
    pub fn reordered(&self, from: impl Fn(usize) -> usize) -> Self {
        let row = self.row();
        let rows = (0..self.rows())
            .filter_map(|index| self.bytes.get(from(index) * row..(from(index) + 1) * row));
        Self { bytes: rows.flatten().copied().collect(), ..self.clone() }
    }

    /// Name of the block format, such as `q8_0` or `q4_k`.
    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            GgmlDType::F32 => "f32",
            GgmlDType::F16 => "f16",
            GgmlDType::BF16 => "bf16",
            GgmlDType::Q4_0 => "q4_0",
            GgmlDType::Q4_1 => "q4_1",
            GgmlDType::Q5_0 => "q5_0",
            GgmlDType::Q5_1 => "q5_1",
            GgmlDType::Q8_0 => "q8_0",
            GgmlDType::Q8_1 => "q8_1",
            GgmlDType::Q2K => "q2_k",
            GgmlDType::Q3K => "q3_k",
            GgmlDType::Q4K => "q4_k",
            GgmlDType::Q5K => "q5_k",
            GgmlDType::Q6K => "q6_k",
            GgmlDType::Q8K => "q8_k",
        }
    }

    /// Dequantizes the values, row by row.
    pub(super) fn unpack(&self, values: &mut [f32]) {
        let rows = parallel::rows_per_piece(self.width);
        let pieces = values.chunks_mut(rows * self.width).zip(self.bytes.chunks(rows * self.row()));
        parallel::each(pieces, |(values, bytes)| match self.read(bytes, values.len()) {
            Ok(numbers) => values.copy_from_slice(&numbers),
            Err(_) => unreachable!("invariant: `new` checked that the bytes are whole rows"),
        });
    }

    fn read(&self, bytes: &[u8], numbers: usize) -> Result<Vec<f32>> {
        let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, self.kind)?;
        Ok(QTensor::new(storage, numbers)?.dequantize(&Device::Cpu)?.to_vec1()?)
    }

    pub(super) fn fits(&self, (d_out, d_in): (usize, usize)) -> bool {
        self.width == d_in && self.rows() == d_out
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The block format.
    pub(super) fn kind(&self) -> GgmlDType {
        self.kind
    }

    /// The blocks, row by row.
    pub(super) fn raw(&self) -> &[u8] {
        &self.bytes
    }

    fn rows(&self) -> usize {
        self.bytes.len() / self.row()
    }

    /// Size of a row in bytes.
    fn row(&self) -> usize {
        self.width / self.kind.block_size() * self.kind.type_size()
    }
}

impl PartialEq for Ggml {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.width == other.width && self.bytes == other.bytes
    }
}

impl std::fmt::Debug for Ggml {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows of {} in {}", self.rows(), self.width, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rng, Tensor};

    /// A matrix quantized by candle, and its values as dequantized by candle.
    fn packed(kind: GgmlDType, (rows, width): (usize, usize)) -> (Ggml, Vec<f32>) {
        let values = Rng::new(3).stream("ggml", "w").normal(0.0, 0.05, rows * width);
        let whole = QTensor::quantize(
            &Tensor::from_vec(values, (rows, width), &Device::Cpu).expect("a matrix"),
            kind,
        )
        .expect("packs");
        let numbers = whole
            .dequantize(&Device::Cpu)
            .expect("numbers")
            .flatten_all()
            .expect("flat")
            .to_vec1()
            .expect("values");
        (
            Ggml::new(kind, whole.data().expect("bytes").into_owned(), width).expect("whole rows"),
            numbers,
        )
    }

    #[test]
    fn pieces_of_rows_give_the_numbers_of_the_whole() {
        for kind in [
            GgmlDType::Q8_0,
            GgmlDType::Q4_0,
            GgmlDType::Q5_1,
            GgmlDType::Q2K,
            GgmlDType::Q3K,
            GgmlDType::Q4K,
            GgmlDType::Q5K,
            GgmlDType::Q6K,
        ] {
            let (blocks, numbers) = packed(kind, (130, 512));
            assert!(blocks.fits((130, 512)) && !blocks.fits((512, 130)));
            let mut values = vec![0.0; numbers.len()];
            blocks.unpack(&mut values);
            assert_eq!(values, numbers, "{}", blocks.name());
        }
    }

    #[test]
    fn rows_are_put_into_another_order_without_unpacking() {
        let (blocks, numbers) = packed(GgmlDType::Q4K, (6, 256));
        let mut values = vec![0.0; numbers.len()];
        blocks.reordered(|row| 5 - row).unpack(&mut values);
        let expected: Vec<f32> = numbers.chunks(256).rev().flatten().copied().collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn incomplete_rows_are_refused_with_the_reason() {
        assert!(Ggml::new(GgmlDType::Q4K, vec![0; 144], 64).expect_err("refused").contains("256"));
        assert!(
            Ggml::new(GgmlDType::Q8_0, vec![0; 33], 32).expect_err("refused").contains("33 bytes")
        );
    }
}
