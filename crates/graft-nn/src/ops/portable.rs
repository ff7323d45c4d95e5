//! All operations composed of candle's own: for devices other than the CPU, and as the reference of
//! the fused ones.

use std::ops::Range;

use candle_core::D;

use super::{AttentionSpec, Gelu, LowRank, RopeTable};
use crate::{DType, Positions, Result, Tensor, Weight};

/// `x Wᵀ`, with W widened to the type of `x`.
pub(super) fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let (d_out, d_in) = w.dims2()?;
    let mut dims = x.dims().to_vec();
    dims.pop();
    dims.push(d_out);
    let rows = x.reshape(((), d_in))?; // (N, d_in)
    Ok(rows.matmul(&w.to_dtype(x.dtype())?.t()?)?.reshape(dims)?) // (.., d_out)
}

/// `x Wᵀ + s (m ∘ x) Aᵀ Bᵀ`.
pub(super) fn lora_linear(x: &Tensor, w: &Weight, update: &LowRank) -> Result<Tensor> {
    let dropped = match &update.dropout {
        Some(mask) => {
            (x * Tensor::from_vec(mask.factors(x.elem_count()), x.dims(), x.device())?
                .to_dtype(x.dtype())?)?
        }
        None => x.clone(),
    };
    let low = linear(&linear(&dropped, &update.a)?, &update.b)?; // (.., d_out)
    Ok((super::linear(x, w)? + (low * update.scale)?)?)
}

/// `x / sqrt(mean(x²) + eps) ∘ w`.
pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    let root = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?; // (.., 1)
    Ok(x.broadcast_div(&root)?.broadcast_mul(&w.to_dtype(x.dtype())?)?)
}

/// `(x - mean(x)) / sqrt(var(x) + eps) ∘ w + b`.
pub(super) fn layer_norm(x: &Tensor, w: &Tensor, b: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?; // (.., C)
    let root = (centered.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?; // (.., 1)
    let y = centered.broadcast_div(&root)?.broadcast_mul(&w.to_dtype(x.dtype())?)?;
    b.map_or(Ok(y.clone()), |b| bias_add(&y, b))
}

/// `x Φ(x)`, or its approximation by a hyperbolic tangent.
pub(super) fn gelu(x: &Tensor, kind: Gelu) -> Result<Tensor> {
    Ok(match kind {
        Gelu::Exact => x.gelu_erf()?,
        Gelu::Tanh => x.gelu()?,
    })
}

/// Rotates the halves of each head by the angles of its position.
pub(super) fn rope(
    x: &Tensor,
    table: &RopeTable,
    positions: &Positions,
    heads: usize,
) -> Result<Tensor> {
    let (batch, tokens, width) = x.dims3()?;
    let (cos, sin) = table.tensors(positions, tokens, x)?; // (T, D/2) twice
    let head_dim = width / heads;
    let rotated = 2 * cos.dim(1)?;
    let split = x.reshape((batch, tokens, heads, head_dim))?.transpose(1, 2)?.contiguous()?; // (B, H, T, W)
    let part = split.narrow(3, 0, rotated)?.contiguous()?; // (B, H, T, D)
    let turned = candle_nn::rotary_emb::rope_slow(&part, &cos, &sin)?;
    let rest = split.narrow(3, rotated, head_dim - rotated)?; // (B, H, T, W - D)
    let turned = if rotated < head_dim { Tensor::cat(&[&turned, &rest], 3)? } else { turned };
    Ok(turned.transpose(1, 2)?.contiguous()?.reshape((batch, tokens, width))?) // (B, T, H*D)
}

/// `softmax(s q kᵀ + b) v` per head, over the visible keys; `bias` is (H, T, S).
pub(super) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    bias: Option<&Tensor>,
    spec: &AttentionSpec,
) -> Result<Tensor> {
    if let Some(sequences) = &spec.sequences {
        let single = AttentionSpec { sequences: None, ..spec.clone() };
        let part =
            |t: &Tensor, range: &Range<usize>| t.narrow(1, range.start, range.len())?.contiguous();
        let one = |range: Range<usize>| {
            let own = |bias: &Tensor| bias.narrow(1, 0, range.len())?.narrow(2, 0, range.len());
            let bias = bias.map(own).transpose()?; // (H, T, T)
            let [q, k, v] = [part(q, &range)?, part(k, &range)?, part(v, &range)?];
            attention(&q, &k, &v, bias.as_ref(), &single)
        };
        return Ok(Tensor::cat(&sequences.ranges().map(one).collect::<Result<Vec<_>>>()?, 1)?); // (1, N, H*D)
    }
    let probs = attention_probs(q, k, bias, spec)?; // (B, H, T, S)
    Ok(probs.matmul(&repeated(v, spec)?)?.transpose(1, 2)?.contiguous()?.reshape(q.dims())?) // (B, T, H*D)
}

/// Splits the heads: (B, rows, heads*D) -> (B, heads, rows, D).
fn split(t: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, rows, width) = t.dims3()?;
    Ok(t.reshape((batch, rows, heads, width / heads))?.transpose(1, 2)?.contiguous()?)
}

/// Splits the heads of keys or values and repeats each for the query heads that share it: (B, S,
/// K*D) -> (B, H, S, D).
fn repeated(t: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
    let t = split(t, spec.kv_heads)?;
    let (batch, heads, keys, width) = t.dims4()?;
    let t = t.unsqueeze(2)?.broadcast_as((batch, heads, spec.heads / heads, keys, width))?;
    Ok(t.contiguous()?.reshape((batch, spec.heads, keys, width))?)
}

/// `softmax(s q kᵀ + b)` per head, over the visible keys.
pub(super) fn attention_probs(
    q: &Tensor,
    k: &Tensor,
    bias: Option<&Tensor>,
    spec: &AttentionSpec,
) -> Result<Tensor> {
    let ((batch, tokens, _), keys) = (q.dims3()?, k.dim(1)?);
    let q = split(q, spec.heads)?;
    let k = repeated(k, spec)?;
    let seen = visible(spec, batch, tokens, keys)?.to_device(q.device())?.to_dtype(q.dtype())?; // (B, 1, T, S)
    let scores = (q.matmul(&k.transpose(2, 3)?)? * f64::from(spec.scale))?; // (B, H, T, S)
    let scores = match spec.softcap {
        Some(cap) => softcap(&scores, f64::from(cap))?,
        None => scores,
    };
    let scores = match bias {
        Some(bias) => scores.broadcast_add(&bias.to_dtype(scores.dtype())?)?,
        None => scores,
    };
    let scores = scores.broadcast_add(&seen.affine(1e9, -1e9)?)?;
    // A row without visible keys becomes zero instead of a mean over masked ones.
    Ok(candle_nn::ops::softmax(&scores, D::Minus1)?.broadcast_mul(&seen)?)
}

/// `c tanh(x / c)`.
pub(super) fn softcap(x: &Tensor, cap: f64) -> Result<Tensor> {
    Ok(((x / cap)?.tanh()? * cap)?)
}

/// 1 where a query sees a key, (B, 1, T, S).
fn visible(spec: &AttentionSpec, batch: usize, tokens: usize, keys: usize) -> Result<Tensor> {
    let padding =
        spec.mask.as_ref().map(|mask| mask.to_dtype(DType::U8)?.to_vec2::<u8>()).transpose()?;
    let mut seen = Vec::with_capacity(batch * tokens * keys);
    for row in 0..batch {
        for query in 0..tokens {
            let sees = |key: usize| {
                spec.span(query, keys).contains(&key)
                    && padding.as_ref().is_none_or(|p| p[row][key] != 0)
            };
            seen.extend((0..keys).map(|key| u8::from(sees(key))));
        }
    }
    Ok(Tensor::from_vec(seen, (batch, 1, tokens, keys), &crate::Device::Cpu)?)
}

/// `silu(gate) ∘ up`.
pub(super) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    Ok((gate.silu()? * up)?)
}

/// Sum of the label losses over the normalizer; `counted` holds (row, label).
pub(super) fn cross_entropy(
    logits: &Tensor,
    counted: &[(u32, u32)],
    normalizer: f64,
    smoothing: f64,
) -> Result<Tensor> {
    let (rows, labels): (Vec<u32>, Vec<u32>) = counted.iter().copied().unzip();
    let count = rows.len();
    let logits = logits.index_select(&Tensor::from_vec(rows, count, logits.device())?, 0)?; // (counted, V)
    let logs = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
    let picked = logs.gather(&Tensor::from_vec(labels, (count, 1), logits.device())?, 1)?; // (counted, 1)
    if smoothing == 0.0 {
        return Ok((picked.sum_all()? * (-1.0 / normalizer))?);
    }
    let spread = (logs.sum_all()? * (smoothing / logs.dim(1)? as f64))?;
    let picked = (picked.sum_all()? * (1.0 - smoothing))?;
    Ok(((picked + spread)? * (-1.0 / normalizer))?)
}

/// Rows of W.
pub(super) fn embedding(ids: &Tensor, w: &Tensor) -> Result<Tensor> {
    let mut dims = ids.dims().to_vec();
    dims.push(w.dim(1)?);
    let rows = w.index_select(&ids.flatten_all()?, 0)?.reshape(dims)?; // (.., C)
    Ok(if matches!(rows.dtype(), DType::BF16 | DType::F16) {
        rows.to_dtype(DType::F32)?
    } else {
        rows
    })
}

/// `x + b` over the last dimension.
pub(super) fn bias_add(x: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_add(&b.to_dtype(x.dtype())?)?)
}
