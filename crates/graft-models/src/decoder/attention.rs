//! Self-attention of decoders.

use graft_nn::{
    Linear, Norm, Result, Role, Site, Tensor,
    ops::{self, AttentionSpec, RopeTable},
};

use super::Pass;
use crate::{ModelError, llama::LlamaConfig, parts::Parts};

/// The attention between projected queries, keys and values: rotation, masks and cache.
#[derive(Clone)]
pub(crate) struct Heads {
    /// Index of the block.
    pub(crate) block: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// Factor on the scores.
    pub(crate) scale: f32,
    /// Bound of the scores.
    pub(crate) softcap: Option<f32>,
    /// Number of keys that a query sees; `None` for all.
    pub(crate) window: Option<usize>,
    /// Rotation of queries and keys; `None` for a block without positions.
    pub(crate) rope: Option<RopeTable>,
}

impl Heads {
    /// The heads of block `block`, with the rotations of blocks with full attention and of those
    /// with a sliding window.
    pub(crate) fn new(
        config: &LlamaConfig,
        block: usize,
        [full, sliding]: [&RopeTable; 2],
    ) -> Self {
        let variant = &config.variant;
        let window = variant.windows.get(block).copied().flatten();
        let rotates = variant.rope_layers.get(block).copied().unwrap_or(true);
        let table = if window.is_some() { sliding } else { full };
        let scale = variant.attention_scale.unwrap_or(1.0 / (config.head_dim as f64).sqrt());
        Self {
            block,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            scale: scale as f32,
            softcap: variant.attn_logit_softcapping,
            window,
            rope: rotates.then(|| table.clone()),
        }
    }

    /// The weighted values, `q: (B, T, H*D)`, `k, v: (B, T, K*D)` -> `(B, T, H*D)`.
    pub(crate) fn attend(&self, [q, k, v]: [Tensor; 3], pass: &Pass) -> Result<Tensor> {
        let Pass { cx, prefixes, positions, mask } = pass;
        let turned = |x: Tensor, heads: usize| match &self.rope {
            Some(table) => ops::rope(&x, table, positions.clone(), heads),
            None => Ok(x),
        };
        let q = turned(q, self.heads)?; // (B, T, H*D)
        let k = turned(k, self.kv_heads)?; // (B, T, K*D)
        let (k, v) = prefixes.prepend(self.block, k, v)?; // with a prefix (B, P+T, K*D)
        let spec = AttentionSpec {
            heads: self.heads,
            kv_heads: self.kv_heads,
            causal: true,
            mask: mask.clone(),
            offset: cx.offset() + prefixes.len(),
            scale: self.scale,
            softcap: self.softcap,
            window: self.window,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        };
        let (k, v) = match &cx.cache {
            Some(cache) => cache.append(self.block, &k, &v)?, // (B, offset + T, K*D)
            None => (k, v),
        };
        ops::attention(&q, &k, &v, &spec)
    }
}

/// Normalization of queries and keys before the rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QkNorm {
    /// None.
    #[default]
    None,
    /// RMSNorm of each head.
    Heads,
    /// RMSNorm of all heads together.
    Whole,
}

/// `o_proj(attention(rope(q_proj(x)), rope(k_proj(x)), v_proj(x)))`, with norms of queries and keys
/// in some families.
pub(crate) struct SelfAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    norm: QkNorm,
    heads: Heads,
}

impl SelfAttention {
    /// Builds the layers at `path`.
    pub(crate) fn build(
        parts: &mut Parts<'_, '_>,
        config: &LlamaConfig,
        path: &str,
        heads: Heads,
    ) -> std::result::Result<Self, ModelError> {
        let at = |name: &str| format!("{path}.{name}");
        let hidden = config.hidden_size;
        let queries = config.num_attention_heads * config.head_dim;
        let keys = config.num_key_value_heads * config.head_dim;
        let (qkv_bias, output_bias) = config.attention_biases();
        let norm = config.variant.qk_norm;
        let qk_norm = |parts: &mut Parts<'_, '_>, name: &str, whole: usize| {
            let width = match norm {
                QkNorm::None => return Ok(None),
                QkNorm::Heads => config.head_dim,
                QkNorm::Whole => whole,
            };
            config.norm(parts, &at(name), width).map(Some)
        };
        Ok(Self {
            q_proj: parts.linear(&at("q_proj"), Role::Query, [queries, hidden], qkv_bias)?,
            k_proj: parts.linear(&at("k_proj"), Role::Key, [keys, hidden], qkv_bias)?,
            v_proj: parts.linear(&at("v_proj"), Role::Value, [keys, hidden], qkv_bias)?,
            o_proj: parts.linear(&at("o_proj"), Role::Output, [hidden, queries], output_bias)?,
            q_norm: qk_norm(parts, "q_norm", queries)?,
            k_norm: qk_norm(parts, "k_norm", keys)?,
            norm,
            heads,
        })
    }

    /// The layers, the norms last.
    pub(crate) fn sites(&self) -> Vec<Site<'_>> {
        let layers = [&self.q_proj, &self.k_proj, &self.v_proj, &self.o_proj].map(Site::linear);
        let norms = [&self.q_norm, &self.k_norm].into_iter().flatten().map(Site::norm);
        layers.into_iter().chain(norms).collect()
    }

    /// (B, T, C) -> (B, T, C)
    pub(crate) fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let cx = &pass.cx;
        let Heads { heads, kv_heads, .. } = self.heads;
        let q = self.normalized(self.q_norm.as_ref(), self.q_proj.forward(x, cx)?, heads)?; // (B, T, H*D)
        let k = self.normalized(self.k_norm.as_ref(), self.k_proj.forward(x, cx)?, kv_heads)?; // (B, T, K*D)
        let v = self.v_proj.forward(x, cx)?; // (B, T, K*D)
        self.o_proj.forward(&self.heads.attend([q, k, v], pass)?, cx) // (B, T, C)
    }

    fn normalized(&self, norm: Option<&Norm>, x: Tensor, heads: usize) -> Result<Tensor> {
        let Some(norm) = norm else { return Ok(x) };
        if self.norm == QkNorm::Whole {
            return norm.forward(&x);
        }
        let (batch, tokens, width) = x.dims3()?;
        let split = x.reshape((batch, tokens, heads, width / heads))?; // (B, T, H, D)
        Ok(norm.forward(&split)?.reshape((batch, tokens, width))?) // (B, T, H*D)
    }
}
