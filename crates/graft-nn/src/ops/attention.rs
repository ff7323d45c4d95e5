//! Scaled dot-product attention with grouped heads, causal and padding masks.

use super::portable;
use crate::{NnError, Result, Tensor};

/// The shape and the masks of one attention.
#[derive(Clone, Debug)]
pub struct AttentionSpec {
    /// H: heads of the queries.
    pub heads: usize,
    /// K: heads of keys and values; H is a multiple.
    pub kv_heads: usize,
    /// Whether a query sees only keys up to its own position.
    pub causal: bool,
    /// Padding, (B, S) `u8`, 1 for a token; `None` when all are tokens.
    pub mask: Option<Tensor>,
    /// Position of the first query: how many keys come from a cache.
    pub offset: usize,
    /// Factor on the scores, usually 1/sqrt(D).
    pub scale: f32,
}

/// `softmax(s q kᵀ) v` per head; query `i` sees key `j` when `j <= i + offset` (causal) and the mask has 1 at `j`. A query
/// that sees nothing gives zeros.
///
/// # Shapes
/// `q: (B, T, H*D)`, `k, v: (B, S, K*D)` -> `(B, T, H*D)`
/// # Errors
/// [`NnError::Shape`] when they do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
    check(q, k, v, spec)?;
    portable::attention(q, k, v, spec)
}

fn check(q: &Tensor, k: &Tensor, v: &Tensor, spec: &AttentionSpec) -> Result<()> {
    let (batch, tokens, width) = q.dims3()?;
    let keys = k.dims3()?.1;
    let head_dim = width / spec.heads.max(1);
    let refuse = |what, expected: String, found: &Tensor| Err(NnError::Shape { what, expected, found: found.dims().to_vec() });
    if spec.heads * head_dim != width || spec.kv_heads == 0 || !spec.heads.is_multiple_of(spec.kv_heads) {
        return refuse("queries", format!("(B, T, H*D) with H = {} a multiple of K = {}", spec.heads, spec.kv_heads), q);
    }
    let expected = [batch, keys, spec.kv_heads * head_dim];
    if let Some(wrong) = [k, v].into_iter().find(|t| t.dims() != expected) {
        return refuse("keys or values", format!("{expected:?}"), wrong);
    }
    if spec.causal && keys != spec.offset + tokens {
        return refuse("keys", format!("(B, {} + {tokens}, ..)", spec.offset), k);
    }
    match &spec.mask {
        Some(mask) if mask.dims() != [batch, keys] => refuse("padding mask", format!("[{batch}, {keys}]"), mask),
        _ => Ok(()),
    }
}
