//! Rotary position embedding.

use super::portable;
use crate::{Device, NnError, Result, Tensor};

/// How the angles are stretched for long texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// `rope_type: default`.
    Default,
    /// `rope_type: linear`: every frequency divided by the factor.
    Linear {
        /// `factor` of the config.
        factor: f64,
    },
    /// `rope_type: llama3`: low frequencies divided by the factor, high ones kept, those between blended.
    Llama3 {
        /// `factor` of the config.
        factor: f64,
        /// `low_freq_factor` of the config.
        low_freq_factor: f64,
        /// `high_freq_factor` of the config.
        high_freq_factor: f64,
        /// `original_max_position_embeddings` of the config.
        original_max_positions: f64,
    },
}

/// What decides the angles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeSpec {
    /// D: width of one head, even.
    pub head_dim: usize,
    /// `rope_theta` of the config.
    pub theta: f64,
    /// Stretching.
    pub scaling: RopeScaling,
    /// Positions to prepare.
    pub positions: usize,
}

impl RopeSpec {
    /// Angle per position of each of the D/2 planes, in radians.
    ///
    /// # Source
    /// transformers, `modeling_rope_utils.py`: `_compute_default_rope_parameters`, `_compute_llama3_parameters`
    pub fn frequencies(&self) -> Vec<f64> {
        let plane = |i: usize| self.theta.powf(-2.0 * i as f64 / self.head_dim as f64);
        (0..self.head_dim / 2).map(plane).map(|frequency| self.scaling.apply(frequency)).collect()
    }
}

impl RopeScaling {
    fn apply(self, frequency: f64) -> f64 {
        match self {
            Self::Default => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => {
                let turns = original_max_positions * frequency / std::f64::consts::TAU;
                let blend = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                frequency * (blend + (1.0 - blend) / factor)
            }
        }
    }
}

/// Cosines and sines of every position, shared by all layers.
#[derive(Clone, Debug)]
pub struct RopeTable {
    /// (P, D/2)
    cos: Tensor,
    /// (P, D/2)
    sin: Tensor,
    head_dim: usize,
    positions: usize,
}

impl RopeTable {
    /// The table on a device.
    ///
    /// # Errors
    /// What candle says.
    pub fn new(spec: &RopeSpec, device: &Device) -> Result<Self> {
        let frequencies = spec.frequencies();
        let angles = || (0..spec.positions).flat_map(|position| frequencies.iter().map(move |f| position as f64 * f));
        let dims = (spec.positions, frequencies.len());
        let cos = Tensor::from_vec(angles().map(|a| a.cos() as f32).collect::<Vec<_>>(), dims, device)?; // (P, D/2)
        let sin = Tensor::from_vec(angles().map(|a| a.sin() as f32).collect::<Vec<_>>(), dims, device)?; // (P, D/2)
        Ok(Self { cos, sin, head_dim: spec.head_dim, positions: spec.positions })
    }

    /// Positions prepared.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Cosines and sines (T, D/2) of `tokens` positions from `offset` on, in the type of `like`.
    pub(super) fn tensors(&self, offset: usize, tokens: usize, like: &Tensor) -> Result<(Tensor, Tensor)> {
        let part = |table: &Tensor| table.narrow(0, offset, tokens)?.to_dtype(like.dtype()); // (T, D/2)
        Ok((part(&self.cos)?, part(&self.sin)?))
    }
}

/// Rotates, in each head, the plane of elements `i` and `i + D/2` by `position * frequency_i`; positions start at `offset`.
///
/// # Shapes
/// `x: (B, T, H*D)` -> the same
/// # Errors
/// [`NnError::OutOfRange`] beyond the table, [`NnError::Shape`] when the width is not `heads * D`.
/// # Source
/// Su et al. 2021, arXiv:2104.09864, with the halves paired as in transformers
pub fn rope(x: &Tensor, table: &RopeTable, offset: usize, heads: usize) -> Result<Tensor> {
    let (_, tokens, width) = x.dims3()?;
    if width != heads * table.head_dim {
        return Err(NnError::Shape { what: "heads to rotate", expected: format!("(B, T, {heads}*{})", table.head_dim), found: x.dims().to_vec() });
    }
    if offset + tokens > table.positions {
        return Err(NnError::OutOfRange { what: "position", index: (offset + tokens - 1) as i64, limit: table.positions });
    }
    portable::rope(x, table, offset, heads)
}
