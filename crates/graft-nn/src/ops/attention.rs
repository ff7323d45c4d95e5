//! Scaled dot-product attention with grouped heads, causal and padding masks.

mod fused;

use std::ops::Range;
use std::sync::Arc;

use super::portable;
use crate::floats::is_native;
use crate::{AttentionProbs, DType, NnError, Result, Sequences, Tensor};

/// The parameters of an attention: heads, scale and masks.
#[derive(Clone, Debug)]
pub struct AttentionSpec {
    /// H: heads of the queries.
    pub heads: usize,
    /// K: heads of keys and values; H is a multiple.
    pub kv_heads: usize,
    /// Whether a query attends only to keys up to its own position.
    pub causal: bool,
    /// Padding mask, (B, S) `u8`, 1 for a token; `None` without padding.
    pub mask: Option<Tensor>,
    /// Position of the first query: the number of keys in front of it, from a cache or a prefix.
    pub offset: usize,
    /// Factor on the scores, usually 1/sqrt(D).
    pub scale: f32,
    /// Bound c of the scores, which become `c tanh(score / c)`; `None` for unbounded scores.
    pub softcap: Option<f32>,
    /// Sliding window: the number of keys that a causal query attends to, its own included, or that
    /// another query attends to in each direction; `None` for all keys.
    pub window: Option<usize>,
    /// The sequences that are packed into the only row, each of which attends only to itself;
    /// `None` if every row is one sequence.
    pub sequences: Option<Sequences>,
    /// Recorder of the attention probabilities; those of packed sequences are not recorded.
    pub attention_probs: Option<Arc<AttentionProbs>>,
}

impl AttentionSpec {
    /// The keys that a query attends to, by its index among the queries.
    pub(super) fn span(&self, query: usize, keys: usize) -> Range<usize> {
        span(query + self.offset, keys, self.causal, self.window)
    }
}

/// The keys within the window of the query at `position`: those before it and itself, and without
/// causality those after it.
fn span(position: usize, keys: usize, causal: bool, window: Option<usize>) -> Range<usize> {
    let start = window.map_or(0, |window| (position + 1).saturating_sub(window)).min(keys);
    let end = match window {
        _ if causal => position + 1,
        None => keys,
        Some(window) => position.saturating_add(window),
    };
    start..end.min(keys)
}

/// Scaled dot-product attention, `softmax(s q kᵀ) v` per head.
///
/// Query `i` attends to key `j` if the mask is 1 at `j`, and in causal attention if
/// `j <= i + offset`. With a window also `j > i + offset - window`, and without causality
/// `j < i + offset + window`. A query without visible keys returns zeros. In packed sequences `i`
/// and `j` count from the start of each sequence. H/K query heads share one head of keys and values
/// (grouped-query attention).
///
/// The fused implementation processes blocks of queries and recomputes the probabilities in the
/// backward pass, so nothing of size T x S is stored.
///
/// # Shapes
/// `q: (B, T, H*D)`, `k, v: (B, S, K*D)` -> `(B, T, H*D)`
/// # Errors
/// [`NnError::Shape`] if the shapes do not match.
/// # Source
/// Vaswani et al. 2017, arXiv:1706.03762; grouped queries: Ainslie et al. 2023, arXiv:2305.13245;
/// bounded scores: Gemma Team 2024, arXiv:2408.00118, section 2; sliding windows: Beltagy
/// et al. 2020, arXiv:2004.05150
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
    check(q, k, v, spec)?;
    if let (Some(recorder), None) = (&spec.attention_probs, &spec.sequences) {
        recorder.push(&portable::attention_probs(q, k, None, spec)?);
    }
    if ![q, k, v].into_iter().all(is_native) {
        return portable::attention(q, k, v, None, spec);
    }
    let mask = spec
        .mask
        .as_ref()
        .map(|mask| mask.to_dtype(DType::U8)?.flatten_all()?.to_vec1::<u8>())
        .transpose()?;
    let AttentionSpec { heads, kv_heads, causal, offset, scale, softcap, window, .. } = *spec;
    let op = fused::Attention {
        heads,
        kv_heads,
        causal,
        mask,
        offset,
        scale,
        softcap,
        window,
        sequences: spec.sequences.clone(),
    };
    Ok(q.contiguous()?.apply_op3(&fused::with_rows(k)?, &fused::with_rows(v)?, op)?)
}

/// Scaled dot-product attention with a bias, `softmax(s q kᵀ + b) v` per head; see [`attention`].
///
/// The scores are stored as a whole, because the bias may be trained. Packed sequences share the
/// bias of the longest one.
///
/// # Shapes
/// `q: (B, T, H*D)`, `k, v: (B, S, K*D)`, `bias: (H, T, S)` -> `(B, T, H*D)`
/// # Errors
/// [`NnError::Shape`] if the shapes do not match.
/// # Source
/// Raffel et al. 2020, arXiv:1910.10683, section 2.1
pub fn biased_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    bias: &Tensor,
    spec: &AttentionSpec,
) -> Result<Tensor> {
    check(q, k, v, spec)?;
    let longest = spec.sequences.as_ref().map(Sequences::longest);
    let expected = [spec.heads, longest.unwrap_or(q.dim(1)?), longest.unwrap_or(k.dim(1)?)];
    if bias.dims() != expected {
        let (expected, found) = (format!("{expected:?}"), bias.dims().to_vec());
        return Err(NnError::Shape { what: "bias of attention", expected, found });
    }
    if let (Some(recorder), None) = (&spec.attention_probs, &spec.sequences) {
        recorder.push(&portable::attention_probs(q, k, Some(bias), spec)?);
    }
    portable::attention(q, k, v, Some(bias), spec)
}

fn check(q: &Tensor, k: &Tensor, v: &Tensor, spec: &AttentionSpec) -> Result<()> {
    let (batch, tokens, width) = q.dims3()?;
    let keys = k.dims3()?.1;
    let head_dim = width / spec.heads.max(1);
    let refuse = |what, expected: String, found: &Tensor| {
        Err(NnError::Shape { what, expected, found: found.dims().to_vec() })
    };
    if spec.heads * head_dim != width
        || spec.kv_heads == 0
        || !spec.heads.is_multiple_of(spec.kv_heads)
    {
        return refuse(
            "queries",
            format!("(B, T, H*D) with H = {} a multiple of K = {}", spec.heads, spec.kv_heads),
            q,
        );
    }
    let expected = [batch, keys, spec.kv_heads * head_dim];
    if let Some(wrong) = [k, v].into_iter().find(|t| t.dims() != expected) {
        return refuse("keys or values", format!("{expected:?}"), wrong);
    }
    if spec.causal && keys != spec.offset + tokens {
        return refuse("keys", format!("(B, {} + {tokens}, ..)", spec.offset), k);
    }
    if let Some(packed) = spec.sequences.as_ref().map(Sequences::tokens)
        && ([batch, tokens, keys] != [1, packed, packed] || spec.offset > 0 || spec.mask.is_some())
    {
        let expected = format!("one row of {packed} queries and keys, without mask and cache");
        return refuse("packed sequences", expected, q);
    }
    match &spec.mask {
        Some(mask) if mask.dims() != [batch, keys] => {
            refuse("padding mask", format!("[{batch}, {keys}]"), mask)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
