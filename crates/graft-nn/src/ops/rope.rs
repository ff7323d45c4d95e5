//! Rotary position embedding (RoPE).

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use super::portable;
use crate::floats::{Floats, floats, is_native};
use crate::{Device, NnError, Positions, Result, Tensor, kernel, parallel};

/// Scaling of the frequencies for long contexts, as `rope_scaling` of a Hugging Face config.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// `rope_type: default`: no scaling.
    Default,
    /// `rope_type: linear`: all frequencies are divided by the factor.
    Linear {
        /// `factor` of the config.
        factor: f64,
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
}

/// The parameters of a rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeSpec {
    /// D: width of one head, even.
    pub head_dim: usize,
    /// `rope_theta` of the config.
    pub theta: f64,
    /// Scaling of the frequencies.
    pub scaling: RopeScaling,
    /// Longest context in tokens.
    pub positions: usize,
}

impl RopeSpec {
    /// The frequencies `ω_i = theta^(-2i / D)` of the D/2 planes after scaling, in radians per
    /// position.
    ///
    /// # Source
    /// transformers, `modeling_rope_utils.py`: `_compute_default_rope_parameters`,
    /// `_compute_llama3_parameters`
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
                let blend = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor))
                    .clamp(0.0, 1.0);
                frequency * (blend + (1.0 - blend) / factor)
            }
        }
    }
}

/// The cosines and sines of all positions, shared by all layers.
///
/// Entry `(p, i)` is `cos(p ω_i)` or `sin(p ω_i)` with the frequencies of
/// [`RopeSpec::frequencies`]; it rotates elements `i` and `i + D/2` of a head at position p. The
/// table grows with the positions that are used, so the maximum context of a model needs no memory
/// by itself.
///
/// # Shapes
/// `cos, sin: (P, D/2)` in f32, one row per position
#[derive(Clone, Debug)]
pub struct RopeTable {
    spec: RopeSpec,
    device: Device,
    angles: Arc<Mutex<Option<Angles>>>,
}

/// The computed part of a table.
#[derive(Clone, Debug)]
struct Angles {
    /// (P, D/2)
    cos: Tensor,
    /// (P, D/2)
    sin: Tensor,
    /// P
    positions: usize,
}

/// Number of positions that are computed at first.
const FIRST: usize = 256;

impl RopeTable {
    /// An empty table on a device.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the width of a head is zero or odd.
    pub fn new(spec: &RopeSpec, device: &Device) -> Result<Self> {
        if spec.head_dim == 0 || !spec.head_dim.is_multiple_of(2) {
            return Err(NnError::Shape {
                what: "head to rotate",
                expected: "an even number of dimensions".to_owned(),
                found: vec![spec.head_dim],
            });
        }
        Ok(Self { spec: *spec, device: device.clone(), angles: Arc::default() })
    }

    /// Longest supported context in tokens.
    pub fn positions(&self) -> usize {
        self.spec.positions
    }

    /// The table with at least the first `end` positions.
    fn up_to(&self, end: usize) -> Result<Angles> {
        let mut angles = self.angles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = angles.as_ref().filter(|ready| ready.positions >= end) {
            return Ok(ready.clone());
        }
        let positions =
            end.checked_next_power_of_two().unwrap_or(end).max(FIRST).min(self.spec.positions);
        let frequencies = self.spec.frequencies();
        let turned = || {
            (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f64 * f))
        };
        let dims = (positions, frequencies.len());
        let cos = Tensor::from_vec(
            turned().map(|a| a.cos() as f32).collect::<Vec<_>>(),
            dims,
            &self.device,
        )?; // (P, D/2)
        let sin = Tensor::from_vec(
            turned().map(|a| a.sin() as f32).collect::<Vec<_>>(),
            dims,
            &self.device,
        )?; // (P, D/2)
        Ok(angles.insert(Angles { cos, sin, positions }).clone())
    }

    /// Cosines and sines (T, D/2) of `tokens` positions, in the type of `like`.
    pub(super) fn tensors(
        &self,
        positions: &Positions,
        tokens: usize,
        like: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let Angles { cos, sin, .. } = self.up_to(positions.end(tokens))?;
        let part = |table: &Tensor| match positions {
            Positions::From(offset) => table.narrow(0, *offset, tokens),
            Positions::Restarting(_) => {
                let places: Vec<u32> =
                    positions.list(tokens).into_iter().map(|position| position as u32).collect();
                table.index_select(&Tensor::from_vec(places, tokens, table.device())?, 0)
            }
        };
        let typed = |table: &Tensor| part(table)?.to_dtype(like.dtype()); // (T, D/2)
        Ok((typed(&cos)?, typed(&sin)?))
    }
}

/// Rotates the plane of elements `i` and `i + D/2` of each head by the angle `p ω_i` of its
/// position p:
///
/// ```text
/// y_i       = x_i cos(p ω_i) - x_(i + D/2) sin(p ω_i)
/// y_(i+D/2) = x_(i + D/2) cos(p ω_i) + x_i sin(p ω_i)
/// ```
///
/// A number as `positions` is the position of the first token.
///
/// # Shapes
/// `x: (B, T, H*D)` -> `(B, T, H*D)`
/// # Errors
/// [`NnError::OutOfRange`] for a position beyond the table, [`NnError::Shape`] if the width is not
/// `heads * D`.
/// # Source
/// Su et al. 2021, arXiv:2104.09864; the halves of a head are paired as in transformers
pub fn rope(
    x: &Tensor,
    table: &RopeTable,
    positions: impl Into<Positions>,
    heads: usize,
) -> Result<Tensor> {
    let ((_, tokens, width), positions) = (x.dims3()?, positions.into());
    let head_dim = table.spec.head_dim;
    if width != heads * head_dim {
        return Err(NnError::Shape {
            what: "heads to rotate",
            expected: format!("(B, T, {heads}*{head_dim})"),
            found: x.dims().to_vec(),
        });
    }
    let end = positions.end(tokens);
    if end > table.positions() {
        return Err(NnError::OutOfRange {
            what: "position",
            index: end as i64 - 1,
            limit: table.positions(),
        });
    }
    if !is_native(x) {
        return portable::rope(x, table, &positions, heads);
    }
    Ok(x.contiguous()?.apply_op1(Rope {
        angles: table.up_to(end)?,
        head_dim,
        positions: positions.list(tokens).into(),
        sign: 1.0,
    })?)
}

/// The rotation; its gradient is the inverse rotation.
#[derive(Clone)]
struct Rope {
    angles: Angles,
    head_dim: usize,
    /// (T)
    positions: Arc<[usize]>,
    sign: f32,
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, (_, tokens, width)) = (floats(x, layout)?, layout.shape().dims3()?);
        let cos = Floats::read(&self.angles.cos)?;
        let sin = Floats::read(&self.angles.sin)?;
        let (cos, sin): (&[f32], &[f32]) = (&cos, &sin);
        let head = self.head_dim;
        let half = self.head_dim / 2;
        let rows = parallel::rows_per_piece(width);
        let mut y = vec![0.0; x.len()];
        let pieces = x.chunks(rows * width).zip(y.chunks_mut(rows * width)).enumerate();
        parallel::each(pieces, |(piece, (x, y))| {
            for (row, (x, y)) in x.chunks(width).zip(y.chunks_mut(width)).enumerate() {
                let angles = self.positions[(piece * rows + row) % tokens] * half;
                let cos = &cos[angles..][..half];
                let sin = &sin[angles..][..half];
                x.chunks(head)
                    .zip(y.chunks_mut(head))
                    .for_each(|(x, y)| kernel::rotate(x, cos, sin, self.sign, y));
            }
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let back = Self { sign: -self.sign, ..self.clone() };
        g.contiguous()?.apply_op1_no_bwd(&back).map(Some)
    }
}

#[cfg(test)]
mod tests;
