//! Blockwise 8-bit quantization with a dynamic data type.

/// Values quantized to 8 bits, `value = level[code] * scale[block]`: bitsandbytes' format for the
/// scales of a double-quantized matrix.
///
/// The 256 levels are dense near zero and cover seven decades.
#[derive(Clone, Debug, PartialEq)]
pub struct ByteBlocks {
    codes: Vec<u8>,
    scales: Vec<f32>,
    block: usize,
    levels: Vec<f32>,
}

/// Values per block.
const BLOCK: usize = 256;

impl ByteBlocks {
    /// Existing codes and scales, with the block size and 256 levels in ascending order; `None` if
    /// the sizes are inconsistent.
    pub fn new(codes: Vec<u8>, scales: Vec<f32>, block: usize, levels: Vec<f32>) -> Option<Self> {
        let fits = block > 0 && scales.len() == codes.len().div_ceil(block) && levels.len() == 256;
        fits.then_some(Self { codes, scales, block, levels })
    }

    /// Quantizes finite values.
    pub(super) fn pack(values: &[f32]) -> Self {
        let levels = levels();
        let scales: Vec<f32> = values
            .chunks(BLOCK)
            .map(|block| block.iter().fold(0.0, |most: f32, value| most.max(value.abs())))
            .collect();
        let code = |(index, value): (usize, &f32)| {
            let scale = scales[index / BLOCK];
            nearest(&levels, if scale > 0.0 { value / scale } else { 0.0 })
        };
        let codes = values.iter().enumerate().map(code).collect();
        Self { codes, scales, block: BLOCK, levels }
    }

    /// Dequantizes the values.
    pub(super) fn unpack(&self) -> Vec<f32> {
        self.codes
            .iter()
            .enumerate()
            .map(|(index, code)| self.levels[usize::from(*code)] * self.scales[index / self.block])
            .collect()
    }

    /// One code per value.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// One scale per block.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Values per block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The 256 levels, in ascending order.
    pub fn levels(&self) -> &[f32] {
        &self.levels
    }

    pub(super) fn count(&self) -> usize {
        self.codes.len()
    }

    /// Size in bytes, without the levels.
    pub(super) fn bytes(&self) -> usize {
        self.codes.len() + 4 * self.scales.len()
    }

    /// Size of `count` values in bytes.
    pub(super) fn bytes_of(count: usize) -> usize {
        count + 4 * count.div_ceil(BLOCK)
    }
}

/// The index of the nearest level.
fn nearest(levels: &[f32], value: f32) -> u8 {
    let above = levels.partition_point(|level| *level < value).min(levels.len() - 1);
    let below = above.saturating_sub(1);
    (if value - levels[below] < levels[above] - value { below } else { above }) as u8
}

/// The levels of the signed dynamic 8-bit data type: each of seven decades has twice as many levels
/// as the one below, evenly spaced over 0.1..1 of it.
///
/// # Source
/// Dettmers 2015, arXiv:1511.04561; bitsandbytes' `create_dynamic_map`
fn levels() -> Vec<f32> {
    let mut levels = vec![0.0, 1.0];
    for decade in 0..7 {
        let count = 1 << decade;
        let edge = |index: i32| 0.1 + 0.9 * f64::from(index) / f64::from(count);
        for index in 0..count {
            let level = f64::midpoint(edge(index), edge(index + 1)) * 10f64.powi(decade - 6);
            levels.extend([level as f32, -level as f32]);
        }
    }
    levels.sort_unstable_by(f32::total_cmp);
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_256_levels_in_ascending_order_with_zero_and_one() {
        let levels = levels();
        assert_eq!(levels.len(), 256);
        assert!(levels.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(levels.contains(&0.0) && levels.last() == Some(&1.0));
    }

    #[test]
    fn every_level_is_its_own_code() {
        let levels = levels();
        assert!(
            levels
                .iter()
                .enumerate()
                .all(|(code, level)| usize::from(nearest(&levels, *level)) == code)
        );
    }
}
