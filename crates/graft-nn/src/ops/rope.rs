//! Rotary position embedding (RoPE).

mod scaling;

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use super::portable;
use crate::floats::{Floats, floats, is_native};
use crate::{Device, NnError, Positions, Result, Tensor, kernel, parallel};
pub use scaling::{LongRope, RopeScaling, Yarn};

/// The parameters of a rotary embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeSpec {
    /// D: width of the rotated part of a head, even.
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
    /// position, in a context of `length` tokens.
    ///
    /// # Source
    /// transformers, `modeling_rope_utils.py`
    pub fn frequencies(&self, length: usize) -> Vec<f64> {
        let theta = self.scaling.base(self.theta, self.head_dim, length);
        let plane = |i: usize| theta.powf(-2.0 * i as f64 / self.head_dim as f64);
        let planes = (0..self.head_dim / 2).map(|i| (i, plane(i)));
        planes.map(|plane| self.scaling.apply(plane, self, length)).collect()
    }
}

/// The cosines and sines of all positions, shared by all layers.
///
/// Entry `(p, i)` is `cos(p ω_i)` or `sin(p ω_i)` with the frequencies of
/// [`RopeSpec::frequencies`], times the attention factor of the scaling; it rotates elements `i`
/// and `i + D/2` of a head at position p. The table grows with the positions that are used, so the
/// maximum context of a model needs no memory by itself.
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
    /// The frequencies, which may depend on the length of the context.
    frequencies: Arc<[f64]>,
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
        Ok(Self { spec: spec.clone(), device: device.clone(), angles: Arc::default() })
    }

    /// Longest supported context in tokens.
    pub fn positions(&self) -> usize {
        self.spec.positions
    }

    /// The table of a context of `end` tokens, with at least these positions.
    fn up_to(&self, end: usize) -> Result<Angles> {
        let frequencies: Arc<[f64]> = self.spec.frequencies(end).into();
        let mut angles = self.angles.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |ready: &&Angles| ready.positions >= end && ready.frequencies == frequencies;
        if let Some(ready) = angles.as_ref().filter(fits) {
            return Ok(ready.clone());
        }
        let positions =
            end.checked_next_power_of_two().unwrap_or(end).max(FIRST).min(self.spec.positions);
        let factor = self.spec.scaling.attention_factor();
        let turned = || {
            (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f64 * f))
        };
        let dims = (positions, frequencies.len());
        let cos = Tensor::from_vec(
            turned().map(|a| (factor * a.cos()) as f32).collect::<Vec<_>>(),
            dims,
            &self.device,
        )?; // (P, D/2)
        let sin = Tensor::from_vec(
            turned().map(|a| (factor * a.sin()) as f32).collect::<Vec<_>>(),
            dims,
            &self.device,
        )?; // (P, D/2)
        Ok(angles.insert(Angles { cos, sin, positions, frequencies: frequencies.clone() }).clone())
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
/// position p. Heads may be wider than the rotated part D; the other elements stay as they are.
///
/// ```text
/// y_i       = x_i cos(p ω_i) - x_(i + D/2) sin(p ω_i)
/// y_(i+D/2) = x_(i + D/2) cos(p ω_i) + x_i sin(p ω_i)
/// ```
///
/// A number as `positions` is the position of the first token.
///
/// # Shapes
/// `x: (B, T, H*W)` -> `(B, T, H*W)` with heads of width `W >= D`
/// # Errors
/// [`NnError::OutOfRange`] for a position beyond the table, [`NnError::Shape`] if the width is not
/// a multiple of `heads` or a head is narrower than D.
/// # Source
/// Su et al. 2021, arXiv:2104.09864; the halves of a head are paired as in transformers
pub fn rope(
    x: &Tensor,
    table: &RopeTable,
    positions: impl Into<Positions>,
    heads: usize,
) -> Result<Tensor> {
    let ((_, tokens, width), positions) = (x.dims3()?, positions.into());
    let rotated = table.spec.head_dim;
    let head_dim = width / heads.max(1);
    if width != heads * head_dim || head_dim < rotated {
        return Err(NnError::Shape {
            what: "heads to rotate",
            expected: format!("(B, T, {heads}*W) with W >= {rotated}"),
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
        let half = self.angles.frequencies.len();
        let rows = parallel::rows_per_piece(width);
        let mut y = vec![0.0; x.len()];
        let pieces = x.chunks(rows * width).zip(y.chunks_mut(rows * width)).enumerate();
        parallel::each(pieces, |(piece, (x, y))| {
            for (row, (x, y)) in x.chunks(width).zip(y.chunks_mut(width)).enumerate() {
                let angles = self.positions[(piece * rows + row) % tokens] * half;
                let cos = &cos[angles..][..half];
                let sin = &sin[angles..][..half];
                for (x, y) in x.chunks(head).zip(y.chunks_mut(head)) {
                    kernel::rotate(x, cos, sin, self.sign, y);
                    y[2 * half..].copy_from_slice(&x[2 * half..]);
                }
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
