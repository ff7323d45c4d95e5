//! Blockwise quantization to 4-bit NormalFloat (NF4).

use super::ByteBlocks;
use crate::parallel;

/// The sixteen levels: quantiles of a standard normal distribution, scaled to -1..=1, with an exact
/// zero.
///
/// # Source
/// Dettmers et al. 2023, arXiv:2305.14314, appendix E
#[allow(clippy::excessive_precision)]
pub const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_800_998_687_7,
    -0.525_073_051_452_636_7,
    -0.394_917_488_098_144_53,
    -0.284_441_381_692_886_35,
    -0.184_773_430_228_233_34,
    -0.091_050_036_251_544_95,
    0.0,
    0.079_580_299_556_255_34,
    0.160_930_201_411_247_25,
    0.246_112_301_945_686_34,
    0.337_915_241_718_292_24,
    0.440_709_829_330_444_34,
    0.562_617_003_917_694_1,
    0.722_956_836_223_602_3,
    1.0,
];

/// Values per block.
const BLOCK: usize = 64;

/// A matrix quantized to 4-bit NormalFloat, `value = level[code] * scale[block]`: bitsandbytes'
/// format.
///
/// Two codes are stored per byte, the first one in the upper half. The scale of a block is its
/// largest absolute value.
///
/// # Source
/// Dettmers et al. 2023, arXiv:2305.14314 section 3
#[derive(Clone, Debug, PartialEq)]
pub struct Nf4 {
    codes: Vec<u8>,
    scales: Scales,
    block: usize,
    levels: [f32; 16],
}

/// The scales of the blocks: the largest absolute value of each.
#[derive(Clone, Debug, PartialEq)]
pub enum Scales {
    /// In f32.
    Plain(Vec<f32>),
    /// Double quantization: the differences from `offset`, quantized to 8 bits.
    Double {
        /// The differences.
        blocks: ByteBlocks,
        /// The mean of the scales.
        offset: f32,
    },
}

impl Scales {
    fn unpack(&self) -> Vec<f32> {
        match self {
            Self::Plain(scales) => scales.clone(),
            Self::Double { blocks, offset } => {
                blocks.unpack().into_iter().map(|distance| distance + offset).collect()
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Plain(scales) => scales.len(),
            Self::Double { blocks, .. } => blocks.count(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Plain(scales) => 4 * scales.len(),
            Self::Double { blocks, .. } => blocks.bytes() + 4,
        }
    }
}

impl Nf4 {
    /// Existing codes and scales, with the block size and the levels.
    pub fn new(codes: Vec<u8>, scales: Scales, block: usize, levels: [f32; 16]) -> Self {
        Self { codes, scales, block, levels }
    }

    /// Quantizes finite values.
    pub(super) fn pack(values: &[f32], double: bool) -> Self {
        let scales: Vec<f32> = values
            .chunks(BLOCK)
            .map(|block| block.iter().fold(0.0, |most: f32, value| most.max(value.abs())))
            .collect();
        let code = |index: usize| {
            values.get(index).map_or(ZERO, |value| nearest(*value, scales[index / BLOCK]))
        };
        let codes = (0..values.len().div_ceil(2))
            .map(|pair| code(2 * pair) << 4 | code(2 * pair + 1))
            .collect();
        Self {
            codes,
            scales: if double { doubled(&scales) } else { Scales::Plain(scales) },
            block: BLOCK,
            levels: NF4,
        }
    }

    /// Dequantizes the values, row by row.
    pub(super) fn unpack(&self, values: &mut [f32]) {
        let scales = self.scales.unpack();
        let blocks = parallel::rows_per_piece(self.block);
        // Block sizes are even, so no block starts in the middle of a byte.
        let pieces = values
            .chunks_mut(blocks * self.block)
            .zip(self.codes.chunks(blocks * self.block / 2))
            .zip(scales.chunks(blocks));
        parallel::each(pieces, |((values, codes), scales)| {
            let blocks =
                values.chunks_mut(self.block).zip(codes.chunks(self.block / 2)).zip(scales);
            blocks.for_each(|((values, codes), scale)| self.unpack_block(values, codes, *scale));
        });
    }

    fn unpack_block(&self, values: &mut [f32], codes: &[u8], scale: f32) {
        let levels = self.levels.map(|level| level * scale);
        let level = |code: u8| levels[usize::from(code & 15)];
        let (pairs, last) = values.as_chunks_mut::<2>();
        for ([first, second], code) in pairs.iter_mut().zip(codes) {
            (*first, *second) = (level(code >> 4), level(*code));
        }
        if let ([value], Some(code)) = (last, codes.last()) {
            *value = level(code >> 4);
        }
    }

    /// The codes, two per byte.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The scales of the blocks.
    pub fn scales(&self) -> &Scales {
        &self.scales
    }

    /// Values per block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The sixteen levels.
    pub fn levels(&self) -> &[f32; 16] {
        &self.levels
    }

    pub(super) fn fits(&self, count: usize) -> bool {
        self.block >= 2
            && self.block.is_multiple_of(2)
            && self.codes.len() == count.div_ceil(2)
            && self.scales.count() == count.div_ceil(self.block)
    }

    pub(super) fn bytes(&self) -> usize {
        self.codes.len() + self.scales.bytes()
    }
}

/// Size of `count` values in bytes.
pub(super) fn bytes(count: usize, double: bool) -> usize {
    let scales = count.div_ceil(BLOCK);
    count.div_ceil(2) + if double { ByteBlocks::bytes_of(scales) + 4 } else { 4 * scales }
}

/// The code of 0.
const ZERO: u8 = 7;

/// The code of the nearest level.
fn nearest(value: f32, scale: f32) -> u8 {
    let scaled = if scale > 0.0 { value / scale } else { 0.0 };
    NF4.windows(2).filter(|pair| scaled > f32::midpoint(pair[0], pair[1])).count() as u8
}

/// Quantizes the scales of the blocks.
fn doubled(scales: &[f32]) -> Scales {
    let offset =
        (scales.iter().map(|scale| f64::from(*scale)).sum::<f64>() / scales.len() as f64) as f32;
    let distances: Vec<f32> = scales.iter().map(|scale| scale - offset).collect();
    Scales::Double { blocks: ByteBlocks::pack(&distances), offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_its_own_code_and_zero_stays_zero() {
        for (code, level) in NF4.iter().enumerate() {
            assert_eq!(usize::from(nearest(level * 3.0, 3.0)), code);
        }
        assert_eq!(nearest(0.0, 0.0), ZERO);
        assert_eq!(NF4[usize::from(ZERO)], 0.0);
    }

    #[test]
    fn the_largest_of_a_block_is_kept_exactly_without_double_quantization() {
        let values: Vec<f32> =
            (0..150).map(|index| ((index * 37 % 91) as f32 - 45.0) / 7.0).collect();
        let mut unpacked = vec![0.0; values.len()];
        Nf4::pack(&values, false).unpack(&mut unpacked);
        for (before, after) in values.chunks(BLOCK).zip(unpacked.chunks(BLOCK)) {
            let most =
                |values: &[f32]| values.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
            assert_eq!(most(before), most(after));
        }
    }

    #[test]
    fn packing_an_unpacked_matrix_again_is_lossless() {
        let values: Vec<f32> =
            (0..129).map(|index| ((index * 29 % 83) as f32 - 41.0) / 11.0).collect();
        let packed = Nf4::pack(&values, false);
        let mut unpacked = vec![0.0; values.len()];
        packed.unpack(&mut unpacked);
        assert_eq!(Nf4::pack(&unpacked, false), packed);
    }
}
