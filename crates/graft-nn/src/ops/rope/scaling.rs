//! Scaling of the rotary frequencies for long contexts.

use std::f64::consts::TAU;
use std::sync::Arc;

use super::RopeSpec;

/// Scaling of the frequencies for long contexts, as `rope_scaling` of a Hugging Face config.
///
/// # Source
/// transformers, `modeling_rope_utils.py`
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// `rope_type: default`: no scaling.
    Default,
    /// `rope_type: linear`: all frequencies are divided by the factor.
    Linear {
        /// `factor` of the config.
        factor: f64,
    },
    /// `rope_type: dynamic`: in a context longer than the original one, the base grows with the
    /// length.
    Dynamic {
        /// `factor` of the config.
        factor: f64,
        /// Longest context of the pretraining.
        original_max_positions: f64,
    },
    /// `rope_type: llama3`: low frequencies are divided by the factor, high ones are unchanged, and
    /// those in between are interpolated.
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
    /// `rope_type: yarn`: as `llama3`, with a linear ramp over the planes, and larger scores.
    Yarn(Yarn),
    /// `rope_type: longrope`: each frequency is divided by a factor of its own.
    LongRope(Arc<LongRope>),
}

/// The parameters of YaRN (Peng et al. 2023, arXiv:2309.00071).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    /// `factor` of the config.
    pub factor: f64,
    /// `original_max_position_embeddings` of the config.
    pub original_max_positions: f64,
    /// Turns over the original context from which a plane is unchanged.
    pub beta_fast: f64,
    /// Turns below which the frequency of a plane is divided by the factor.
    pub beta_slow: f64,
    /// Whether the ends of the ramp are rounded to whole planes.
    pub truncate: bool,
    /// Factor on cosines and sines.
    pub attention_factor: f64,
}

/// The parameters of LongRoPE (Ding et al. 2024, arXiv:2402.13753).
#[derive(Clone, Debug, PartialEq)]
pub struct LongRope {
    /// A factor for each plane, for contexts up to the original length.
    pub short_factor: Vec<f64>,
    /// A factor for each plane, for longer contexts.
    pub long_factor: Vec<f64>,
    /// `original_max_position_embeddings` of the config.
    pub original_max_positions: f64,
    /// Factor on cosines and sines.
    pub attention_factor: f64,
}

impl RopeScaling {
    /// Factor on cosines and sines, so its square is a factor on the scores of attention.
    pub fn attention_factor(&self) -> f64 {
        match self {
            Self::Yarn(yarn) => yarn.attention_factor,
            Self::LongRope(long) => long.attention_factor,
            _ => 1.0,
        }
    }

    /// The base of the angles in a context of `length` tokens.
    pub(super) fn base(&self, theta: f64, width: usize, length: usize) -> f64 {
        let Self::Dynamic { factor, original_max_positions } = *self else { return theta };
        let length = (length as f64).max(original_max_positions);
        let growth = factor * length / original_max_positions - (factor - 1.0);
        theta * growth.powf(width as f64 / (width as f64 - 2.0))
    }

    /// The frequency of plane `i` after scaling.
    pub(super) fn apply(
        &self,
        (i, frequency): (usize, f64),
        spec: &RopeSpec,
        length: usize,
    ) -> f64 {
        match self {
            Self::Default | Self::Dynamic { .. } => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => {
                let turns = original_max_positions * frequency / TAU;
                let blend = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor))
                    .clamp(0.0, 1.0);
                frequency * (blend + (1.0 - blend) / factor)
            }
            Self::Yarn(yarn) => {
                let blend = yarn.unchanged(i, spec);
                frequency * (blend + (1.0 - blend) / yarn.factor)
            }
            Self::LongRope(long) => {
                let is_long = length as f64 > long.original_max_positions;
                let factors = if is_long { &long.long_factor } else { &long.short_factor };
                frequency / factors.get(i).copied().unwrap_or(1.0)
            }
        }
    }
}

impl Yarn {
    /// The share of plane `i` that is unchanged, from 1 for high frequencies to 0 for low ones.
    fn unchanged(&self, i: usize, spec: &RopeSpec) -> f64 {
        let width = spec.head_dim as f64;
        // The plane that makes this number of turns over the original context.
        let plane = |turns: f64| {
            width * (self.original_max_positions / (turns * TAU)).ln() / (2.0 * spec.theta.ln())
        };
        let (low, high) = (plane(self.beta_fast), plane(self.beta_slow));
        let (low, high) = if self.truncate { (low.floor(), high.ceil()) } else { (low, high) };
        let (low, high) = (low.max(0.0), high.min(width - 1.0));
        let high = if low == high { high + 0.001 } else { high };
        1.0 - ((i as f64 - low) / (high - low)).clamp(0.0, 1.0)
    }
}
