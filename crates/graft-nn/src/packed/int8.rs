//! Row-wise 8-bit quantization.

use crate::parallel;

/// A matrix quantized to 8-bit integers, `value = code * scale[row] / 127`: bitsandbytes' format
/// with its scales `SCB`.
///
/// The scale of a row is its largest absolute value.
///
/// # Source
/// Dettmers et al. 2022, arXiv:2208.07339 section 2.1
#[derive(Clone, Debug, PartialEq)]
pub struct Int8 {
    codes: Vec<i8>,
    scales: Vec<f32>,
}

impl Int8 {
    /// Existing codes and scales.
    pub fn new(codes: Vec<i8>, scales: Vec<f32>) -> Self {
        Self { codes, scales }
    }

    /// Quantizes rows of finite values.
    pub(super) fn pack(values: &[f32], width: usize) -> Self {
        let scales: Vec<f32> = values
            .chunks(width)
            .map(|row| row.iter().fold(0.0, |most: f32, value| most.max(value.abs())))
            .collect();
        let code = |value: f32, scale: f32| {
            if scale > 0.0 { (value * 127.0 / scale).round_ties_even() as i8 } else { 0 }
        };
        let codes = values
            .chunks(width)
            .zip(&scales)
            .flat_map(|(row, scale)| row.iter().map(|value| code(*value, *scale)))
            .collect();
        Self { codes, scales }
    }

    /// Dequantizes the values, row by row.
    pub(super) fn unpack(&self, values: &mut [f32], width: usize) {
        let rows = parallel::rows_per_piece(width);
        let pieces = values
            .chunks_mut(rows * width)
            .zip(self.codes.chunks(rows * width))
            .zip(self.scales.chunks(rows));
        parallel::each(pieces, |((values, codes), scales)| {
            for ((values, codes), scale) in
                values.chunks_mut(width).zip(codes.chunks(width)).zip(scales)
            {
                let step = scale / 127.0;
                values
                    .iter_mut()
                    .zip(codes)
                    .for_each(|(value, code)| *value = f32::from(*code) * step);
            }
        });
    }

    /// The codes, row by row.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// One scale per row: bitsandbytes' `SCB`.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    pub(super) fn fits(&self, (d_out, d_in): (usize, usize)) -> bool {
        self.codes.len() == d_out * d_in && self.scales.len() == d_out
    }

    pub(super) fn bytes(&self) -> usize {
        self.codes.len() + 4 * self.scales.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_further_away_than_half_a_step() {
        let values: Vec<f32> =
            (0..60).map(|index| ((index * 37 % 91) as f32 - 45.0) / 7.0).collect();
        let packed = Int8::pack(&values, 20);
        let mut unpacked = vec![0.0; values.len()];
        packed.unpack(&mut unpacked, 20);
        for (index, (before, after)) in values.iter().zip(&unpacked).enumerate() {
            assert!(
                (before - after).abs() <= packed.scales[index / 20] / 127.0 * 0.5001,
                "{before} {after}"
            );
        }
    }
}
