//! Quantized matrices on a GPU: the same bytes, dequantized there by candle operations.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};

use super::{ByteBlocks, Ggml, Int8, Nf4, Numbers, Scales};
use crate::{DType, Device, Result, Tensor};

/// The copy of a quantized matrix (d_out, d_in) on a device.
#[derive(Clone, Debug)]
pub(super) enum Resident {
    /// 4-bit NormalFloat or 8-bit integers.
    Table(Table),
    /// The blocks of a GGUF file, which candle dequantizes on every device.
    Ggml(Arc<QTensor>),
}

impl Resident {
    /// Copies the quantized values to the device.
    pub(super) fn new(numbers: &Numbers, dims: (usize, usize), device: &Device) -> Result<Self> {
        let count = dims.0 * dims.1;
        Ok(match numbers {
            Numbers::Nf4(nf4) => Self::Table(Table::nf4(nf4, count, device)?),
            Numbers::Int8(int8) => Self::Table(Table::int8(int8, dims, device)?),
            Numbers::Ggml(ggml) => Self::Ggml(Arc::new(blocks(ggml, dims, device)?)),
        })
    }

    /// Dequantizes the matrix to f32 on its device.
    pub(super) fn tensor(&self, dims: (usize, usize)) -> Result<Tensor> {
        Ok(match self {
            Self::Table(table) => table.unpack()?.reshape(dims)?,
            Self::Ggml(blocks) => blocks.dequantize(&blocks.device())?,
        })
    }
}

/// `value = table[byte] * scale[block]`. Each byte encodes as many values as the table has columns.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// (bytes,)
    codes: Tensor,
    /// (256, values per byte)
    table: Tensor,
    scales: TableScales,
    /// Values per block.
    block: usize,
    /// Number of values; the last byte and the last block may be incomplete.
    count: usize,
}

/// The scales, in f32 or quantized.
#[derive(Clone, Debug)]
enum TableScales {
    /// (blocks,)
    Plain(Tensor),
    /// Differences from `offset`.
    Double { distances: Box<Table>, offset: f64 },
}

impl Table {
    fn nf4(nf4: &Nf4, count: usize, device: &Device) -> Result<Self> {
        let pair = |byte: usize| [nf4.levels()[byte >> 4], nf4.levels()[byte & 15]];
        let scales = match nf4.scales() {
            Scales::Plain(scales) => TableScales::Plain(vector(scales, device)?),
            Scales::Double { blocks, offset } => TableScales::Double {
                distances: Box::new(Self::byte_blocks(blocks, device)?),
                offset: f64::from(*offset),
            },
        };
        let table = Tensor::from_vec((0..256).flat_map(pair).collect(), (256, 2), device)?;
        Ok(Self { codes: vector(nf4.codes(), device)?, table, scales, block: nf4.block(), count })
    }

    fn int8(int8: &Int8, (d_out, d_in): (usize, usize), device: &Device) -> Result<Self> {
        let codes: Vec<u8> = int8.codes().iter().map(|code| *code as u8).collect();
        let table = Tensor::from_vec(
            (0..=255_u8).map(|byte| f32::from(byte as i8)).collect(),
            (256, 1),
            device,
        )?;
        let steps: Vec<f32> = int8.scales().iter().map(|scale| scale / 127.0).collect();
        Ok(Self {
            codes: vector(&codes, device)?,
            table,
            scales: TableScales::Plain(vector(&steps, device)?),
            block: d_in,
            count: d_out * d_in,
        })
    }

    fn byte_blocks(blocks: &ByteBlocks, device: &Device) -> Result<Self> {
        let table = Tensor::from_slice(blocks.levels(), (256, 1), device)?;
        let scales = TableScales::Plain(vector(blocks.scales(), device)?);
        Ok(Self {
            codes: vector(blocks.codes(), device)?,
            table,
            scales,
            block: blocks.block(),
            count: blocks.codes().len(),
        })
    }

    /// (count,)
    fn unpack(&self) -> Result<Tensor> {
        let scales = match &self.scales {
            TableScales::Plain(scales) => scales.clone(),
            TableScales::Double { distances, offset } => (distances.unpack()? + *offset)?,
        };
        // candle treats the largest value of an index type as "no index", which is 255 for u8.
        let levels =
            self.table.index_select(&self.codes.to_dtype(DType::U32)?, 0)?.flatten_all()?;
        let blocks = self.count / self.block;
        let whole = self.count / self.block * self.block;
        let mut parts = Vec::with_capacity(2);
        if blocks > 0 {
            let levels = levels.narrow(0, 0, whole)?.reshape((blocks, self.block))?;
            parts.push(
                levels.broadcast_mul(&scales.narrow(0, 0, blocks)?.unsqueeze(1)?)?.flatten_all()?,
            );
        }
        if whole < self.count {
            parts.push(
                levels
                    .narrow(0, whole, self.count - whole)?
                    .broadcast_mul(&scales.narrow(0, blocks, 1)?)?,
            );
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}

fn blocks(ggml: &Ggml, dims: (usize, usize), device: &Device) -> Result<QTensor> {
    Ok(QTensor::new(QStorage::from_data(Cow::Borrowed(ggml.raw()), device, ggml.kind())?, dims)?)
}

fn vector<T: candle_core::WithDType>(values: &[T], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(values, values.len(), device)?)
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::GgmlDType;

    use super::super::{Packed, Quantization};
    use super::*;
    use crate::Rng;

    fn matrix(rows: usize, columns: usize) -> Tensor {
        Tensor::from_vec(
            Rng::new(3).stream("resident", "w").normal(0.0, 0.05, rows * columns),
            (rows, columns),
            &Device::Cpu,
        )
        .expect("a matrix")
    }

    fn bits(values: &Tensor) -> Vec<u32> {
        values
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f32>())
            .expect("values")
            .into_iter()
            .map(f32::to_bits)
            .collect()
    }

    #[test]
    fn a_device_unpacks_to_the_same_values_as_the_cpu() {
        for quantization in [
            Quantization::Nf4 { double: true },
            Quantization::Nf4 { double: false },
            Quantization::Int8,
        ] {
            for (rows, columns) in [(1, 1), (5, 13), (3, 64), (129, 257)] {
                let packed = Packed::new(&matrix(rows, columns), quantization).expect("packs");
                let resident =
                    Resident::new(packed.numbers(), packed.dims(), &Device::Cpu).expect("copies");
                let unpacked = resident.tensor(packed.dims()).expect("unpacks");
                assert_eq!(
                    bits(&unpacked),
                    bits(&packed.on_cpu()),
                    "{quantization:?} {rows} x {columns}"
                );
            }
        }
    }

    #[test]
    fn a_byte_of_255_is_a_code_like_any_other() {
        let ones = Packed::new(
            &Tensor::ones((2, 64), DType::F32, &Device::Cpu).expect("ones"),
            Quantization::Nf4 { double: false },
        )
        .expect("packs");
        let Numbers::Nf4(nf4) = ones.numbers() else { unreachable!("asked for NF4") };
        assert!(nf4.codes().iter().all(|code| *code == 255));
        let unpacked = Resident::new(ones.numbers(), (2, 64), &Device::Cpu)
            .expect("copies")
            .tensor((2, 64))
            .expect("unpacks");
        assert_eq!(bits(&unpacked), vec![1.0_f32.to_bits(); 128]);
    }

    #[test]
    fn the_blocks_of_a_gguf_file_are_unpacked_by_candle() {
        let quantized = QTensor::quantize(&matrix(4, 256), GgmlDType::Q4K).expect("packs");
        let ggml = Ggml::new(GgmlDType::Q4K, quantized.data().expect("bytes").into_owned(), 256)
            .expect("whole rows");
        let packed = Packed::from_numbers((4, 256), Numbers::Ggml(ggml)).expect("fits");
        let resident = Resident::new(packed.numbers(), (4, 256), &Device::Cpu).expect("copies");
        assert_eq!(bits(&resident.tensor((4, 256)).expect("unpacks")), bits(&packed.on_cpu()));
    }
}
