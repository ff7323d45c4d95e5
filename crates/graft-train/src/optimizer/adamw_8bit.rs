//! AdamW with moments in 8 bits.

use std::sync::OnceLock;

use graft_nn::{Device, Tensor};
use rayon::prelude::*;

use super::adamw::Coefficients;
use super::rule::{Rule, SavedState, Scalars};

/// Elements with a common scale.
pub(super) const BLOCK: usize = 256;
/// Parameters with fewer elements keep 32-bit moments, as in bitsandbytes.
pub(super) const MIN_ELEMENTS: usize = 4096;

/// Both moments of one parameter: a code per element and the largest absolute value per block.
#[derive(Debug)]
pub(super) struct AdamW8bit {
    shape: Vec<usize>,
    exp_avg: Quantized,
    exp_avg_sq: Quantized,
}

#[derive(Debug)]
struct Quantized {
    codes: Vec<u8>,
    largest: Vec<f32>,
}

/// The 256 values of a data type with a dynamic exponent, in ascending order.
struct Codebook {
    values: Vec<f32>,
    /// Halfway between each value and the next.
    middles: Vec<f32>,
}

/// Whether a codebook has negative values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Signed,
    Unsigned,
}

impl AdamW8bit {
    pub(super) fn new(shape: &[usize]) -> Self {
        let count: usize = shape.iter().product();
        let zeros = |codebook: &Codebook| Quantized {
            codes: vec![codebook.nearest(0.0); count],
            largest: vec![0.0; count.div_ceil(BLOCK)],
        };
        Self { shape: shape.to_vec(), exp_avg: zeros(signed()), exp_avg_sq: zeros(unsigned()) }
    }
}

fn signed() -> &'static Codebook {
    static SIGNED: OnceLock<Codebook> = OnceLock::new();
    SIGNED.get_or_init(|| Codebook::new(Sign::Signed))
}

fn unsigned() -> &'static Codebook {
    static UNSIGNED: OnceLock<Codebook> = OnceLock::new();
    UNSIGNED.get_or_init(|| Codebook::new(Sign::Unsigned))
}

impl Codebook {
    /// For each exponent from -6 to 0, the middles of equal parts of [0.1, 1], twice as many as for
    /// the exponent before; 0 and 1.
    ///
    /// # Source
    /// Dettmers et al. 2022, arXiv:2110.02861, section 2.2; `create_dynamic_map` of bitsandbytes
    fn new(sign: Sign) -> Self {
        let mut values = vec![0f32, 1.0];
        for exponent in 0..7 {
            let parts = if sign == Sign::Signed { 1 << exponent } else { 1 << (exponent + 1) };
            let edge = |part: usize| (0.1 + 0.9 * part as f64 / parts as f64) as f32;
            for part in 0..parts {
                let middle = f32::midpoint(edge(part), edge(part + 1));
                let value = (10f64.powi(exponent - 6) * f64::from(middle)) as f32;
                values.push(value);
                values.extend((sign == Sign::Signed).then_some(-value));
            }
        }
        values.sort_by(f32::total_cmp);
        let middles = values.windows(2).map(|pair| f32::midpoint(pair[0], pair[1])).collect();
        Self { values, middles }
    }

    fn nearest(&self, value: f32) -> u8 {
        self.middles.partition_point(|middle| *middle < value) as u8
    }

    fn dequantize(&self, codes: &[u8], largest: f32, to: &mut [f32]) {
        for (to, code) in to.iter_mut().zip(codes) {
            *to = self.values[usize::from(*code)] * largest;
        }
    }

    /// Replaces the codes of a block, and returns its largest absolute value.
    fn quantize(&self, values: &[f32], codes: &mut [u8]) -> f32 {
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
        for (code, value) in codes.iter_mut().zip(values) {
            *code = self.nearest(value * scale);
        }
        largest
    }
}

impl Rule for AdamW8bit {
    fn update(&mut self, parameter: &mut [f32], gradient: &[f32], scalars: &Scalars) {
        let coefficients = Coefficients::of(scalars);
        let blocks = parameter
            .par_chunks_mut(BLOCK)
            .zip(gradient.par_chunks(BLOCK))
            .zip(self.exp_avg.codes.par_chunks_mut(BLOCK).zip(&mut self.exp_avg.largest))
            .zip(self.exp_avg_sq.codes.par_chunks_mut(BLOCK).zip(&mut self.exp_avg_sq.largest));
        blocks.for_each(|(((parameter, gradient), first), second)| {
            let ((m_codes, m_largest), (v_codes, v_largest)) = (first, second);
            let (mut m, mut v) = ([0f32; BLOCK], [0f32; BLOCK]);
            let (m, v) = (&mut m[..parameter.len()], &mut v[..parameter.len()]);
            signed().dequantize(m_codes, *m_largest, m);
            unsigned().dequantize(v_codes, *v_largest, v);
            coefficients.update(parameter, gradient, m, v);
            *m_largest = signed().quantize(m, m_codes);
            *v_largest = unsigned().quantize(v, v_codes);
        });
    }

    fn tensors(&self) -> candle_core::Result<Vec<(&'static str, Tensor)>> {
        let codes = |of: &Quantized| Tensor::from_slice(&of.codes, &*self.shape, &Device::Cpu);
        let largest =
            |of: &Quantized| Tensor::from_slice(&of.largest, of.largest.len(), &Device::Cpu);
        Ok(vec![
            ("exp_avg", codes(&self.exp_avg)?),
            ("exp_avg_absmax", largest(&self.exp_avg)?),
            ("exp_avg_sq", codes(&self.exp_avg_sq)?),
            ("exp_avg_sq_absmax", largest(&self.exp_avg_sq)?),
        ])
    }

    fn restore(&mut self, saved: &SavedState<'_>) -> Result<(), String> {
        let blocks = [self.exp_avg.largest.len()];
        let read = |codes: &str, largest: &str| {
            Ok::<_, String>(Quantized {
                codes: saved.bytes(codes, &self.shape)?,
                largest: saved.floats(largest, &blocks)?,
            })
        };
        let exp_avg = read("exp_avg", "exp_avg_absmax")?;
        let exp_avg_sq = read("exp_avg_sq", "exp_avg_sq_absmax")?;
        (self.exp_avg, self.exp_avg_sq) = (exp_avg, exp_avg_sq);
        Ok(())
    }
}
