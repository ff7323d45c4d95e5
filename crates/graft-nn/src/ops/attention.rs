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
    /// Sliding window: the number of keys that a causal query attends to, its own included; `None`
    /// for all keys.
    pub window: Option<usize>,
    /// The sequences that are packed into the only row, each of which attends only to itself;
    /// `None` if every row is one sequence.
    pub sequences: Option<Sequences>,
    /// Recorder of the attention probabilities; those of packed sequences are not recorded.
    pub attention_probs: Option<Arc<AttentionProbs>>,
}

impl AttentionSpec {
    /// The keys that a causal query attends to, by its index among the queries.
    pub(super) fn span(&self, query: usize) -> Range<usize> {
        span(query + self.offset + 1, self.window)
    }
}

/// The last `window` keys before `end`.
fn span(end: usize, window: Option<usize>) -> Range<usize> {
    window.map_or(0, |window| end.saturating_sub(window))..end
}

/// Scaled dot-product attention, `softmax(s q kᵀ) v` per head.
///
/// Query `i` attends to key `j` if the mask is 1 at `j`, and in causal attention if
/// `j <= i + offset` and, with a window, `j > i + offset - window`. A query without visible keys
/// returns zeros. In packed sequences `i` and `j` count from the start of each sequence. H/K query
/// heads share one head of keys and values (grouped-query attention).
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
/// sliding windows: Beltagy et al. 2020, arXiv:2004.05150
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
    check(q, k, v, spec)?;
    if let (Some(recorder), None) = (&spec.attention_probs, &spec.sequences) {
        recorder.push(&portable::attention_probs(q, k, spec)?);
    }
    if ![q, k, v].into_iter().all(is_native) {
        return portable::attention(q, k, v, spec);
    }
    let mask = spec
        .mask
        .as_ref()
        .map(|mask| mask.to_dtype(DType::U8)?.flatten_all()?.to_vec1::<u8>())
        .transpose()?;
    let AttentionSpec { heads, kv_heads, causal, offset, scale, window, .. } = *spec;
    let op = fused::Attention {
        heads,
        kv_heads,
        causal,
        mask,
        offset,
        scale,
        window,
        sequences: spec.sequences.clone(),
    };
    Ok(q.contiguous()?.apply_op3(&fused::with_rows(k)?, &fused::with_rows(v)?, op)?)
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
mod tests {
    use super::super::check::{assert_close, check, flat, normal};
    use super::*;
    use crate::{Device, KvCache};

    fn spec(heads: usize, kv_heads: usize) -> AttentionSpec {
        AttentionSpec {
            heads,
            kv_heads,
            causal: true,
            mask: None,
            offset: 0,
            scale: 0.4,
            window: None,
            sequences: None,
            attention_probs: None,
        }
    }

    #[test]
    fn causal_attention_over_several_blocks_with_grouped_heads() {
        check("attention", &[&[2, 3, 12], &[2, 3, 12], &[2, 3, 12]], |x| {
            attention(&x[0], &x[1], &x[2], &spec(4, 4))
        });
        // 67 queries: a full block and a part.
        check("grouped attention", &[&[2, 67, 20], &[2, 67, 10], &[2, 67, 10]], |x| {
            attention(&x[0], &x[1], &x[2], &spec(4, 2))
        });
    }

    #[test]
    fn keys_from_a_cache_are_seen_by_every_query() {
        let spec = AttentionSpec { offset: 5, ..spec(2, 1) };
        check("attention after a cache", &[&[2, 3, 6], &[2, 8, 3], &[2, 8, 3]], |x| {
            attention(&x[0], &x[1], &x[2], &spec)
        });
    }

    #[test]
    fn a_sliding_window_hides_earlier_keys() {
        let spec = AttentionSpec { window: Some(5), ..spec(4, 2) };
        check("windowed attention", &[&[2, 67, 20], &[2, 67, 10], &[2, 67, 10]], |x| {
            attention(&x[0], &x[1], &x[2], &spec)
        });
        let mask = Tensor::from_vec(
            (0..14).map(|place| u8::from(place % 4 != 0)).collect::<Vec<_>>(),
            (2, 7),
            &Device::Cpu,
        )
        .expect("a mask");
        let behind = AttentionSpec { offset: 4, window: Some(3), mask: Some(mask), ..spec.clone() };
        check("windowed attention after a cache", &[&[2, 3, 20], &[2, 7, 10], &[2, 7, 10]], |x| {
            attention(&x[0], &x[1], &x[2], &behind)
        });
        // Only the last five of seven keys reach the last query.
        let [q, k] = [normal("q", &[1, 7, 20]), normal("k", &[1, 7, 10])];
        let moved =
            Tensor::cat(&[&normal("other", &[1, 2, 10]), &k.narrow(1, 2, 5).expect("a part")], 1)
                .expect("joins");
        let last = |k: &Tensor| {
            flat(&attention(&q, k, k, &spec).expect("works").narrow(1, 6, 1).expect("a part"))
        };
        assert_eq!(last(&k), last(&moved));
    }

    #[test]
    fn attention_in_both_directions_may_have_any_number_of_keys() {
        let spec = AttentionSpec { causal: false, ..spec(2, 2) };
        check("full attention", &[&[2, 70, 6], &[2, 4, 6], &[2, 4, 6]], |x| {
            attention(&x[0], &x[1], &x[2], &spec)
        });
    }

    #[test]
    fn padding_is_masked_and_a_fully_masked_query_returns_zeros() {
        let mask =
            Tensor::from_slice(&[1u8, 1, 1, 0, 0, 0, 1, 1], (2, 4), &Device::Cpu).expect("a mask");
        let spec = AttentionSpec { mask: Some(mask), ..spec(2, 1) };
        check("padded attention", &[&[2, 4, 6], &[2, 4, 3], &[2, 4, 3]], |x| {
            attention(&x[0], &x[1], &x[2], &spec)
        });
        let [q, k] = [normal("q", &[2, 4, 6]), normal("k", &[2, 4, 3])];
        let y = flat(&attention(&q, &k, &k, &spec).expect("works"));
        assert!(y[24..36].iter().all(|v| *v == 0.0) && y[36..].iter().all(|v| *v != 0.0));
    }

    #[test]
    fn token_by_token_with_a_cache_equals_all_at_once() {
        let [q, k, v] = ["q", "k", "v"].map(|name| normal(name, &[2, 9, 8]));
        let whole = attention(&q, &k, &v, &spec(2, 2)).expect("works");
        let cache = KvCache::new(1);
        let mut parts = Vec::new();
        for (start, count) in [(0, 4), (4, 1), (5, 1), (6, 3)] {
            let part = |t: &Tensor| t.narrow(1, start, count).expect("a part");
            let (keys, values) = cache.append(0, &part(&k), &part(&v)).expect("appends");
            parts.push(
                attention(
                    &part(&q),
                    &keys,
                    &values,
                    &AttentionSpec { offset: start, ..spec(2, 2) },
                )
                .expect("works"),
            );
        }
        assert_close("cache", &flat(&Tensor::cat(&parts, 1).expect("joins")), &flat(&whole));
    }

    #[test]
    fn packed_sequences_see_themselves_alone() {
        let lengths = [3, 70, 1, 6];
        let whole: usize = lengths.iter().sum();
        let (alone, packed) =
            (spec(4, 2), AttentionSpec { sequences: Some(Sequences::new(&lengths)), ..spec(4, 2) });
        let sizes: [&[usize]; 3] = [&[1, 80, 20], &[1, 80, 10], &[1, 80, 10]];
        for spec in [
            packed.clone(),
            AttentionSpec { window: Some(4), ..packed.clone() },
            AttentionSpec { causal: false, ..packed.clone() },
        ] {
            check("packed attention", &sizes, |x| attention(&x[0], &x[1], &x[2], &spec));
        }
        let [q, k, v] = [
            normal("q", &[1, whole, 20]),
            normal("k", &[1, whole, 10]),
            normal("v", &[1, whole, 10]),
        ];
        let together = attention(&q, &k, &v, &packed).expect("works");
        for range in Sequences::new(&lengths).ranges() {
            let part = |t: &Tensor| t.narrow(1, range.start, range.len()).expect("a part");
            let apart = attention(&part(&q), &part(&k), &part(&v), &alone).expect("works");
            assert_close("packed", &flat(&part(&together)), &flat(&apart));
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let [q, k] = [normal("q", &[1, 3, 8]), normal("k", &[1, 3, 4])];
        assert!(attention(&q, &k, &k, &spec(2, 2)).is_err());
        assert!(attention(&q, &q, &q, &spec(3, 3)).is_err());
        assert!(attention(&q, &q, &q, &AttentionSpec { offset: 1, ..spec(2, 2) }).is_err());
        let mask = Tensor::ones((1, 2), DType::U8, &Device::Cpu).expect("a mask");
        assert!(attention(&q, &q, &q, &AttentionSpec { mask: Some(mask), ..spec(2, 2) }).is_err());
        assert!(
            attention(
                &q,
                &q,
                &q,
                &AttentionSpec { sequences: Some(Sequences::new(&[2, 2])), ..spec(2, 2) }
            )
            .is_err()
        );
    }
}
