//! The Llama family: decoders of pre-norm blocks with grouped-query attention, rotary positions and
//! a SwiGLU feed-forward network.
//!
//! Related families ([`mistral`](crate::mistral), [`qwen2`](crate::qwen2), [`qwen3`](crate::qwen3))
//! describe their differences in a [`Variant`].
//!
//! ```text
//! x = embed(ids)                              # soft prompts in front: T becomes P+T
//! for each block:
//!     n = input_layernorm(x)
//!     x = x + o_proj(attention(rope(q_proj(n)), rope(k_proj(n)), v_proj(n)))
//!     n = post_attention_layernorm(x)
//!     x = x + down_proj(silu(gate_proj(n)) * up_proj(n))
//! logits = lm_head(norm(x))
//! ```
//! Module names are those of Hugging Face, so that adapter files are compatible.
//!
//! # Shapes
//! B batch, T tokens, P virtual tokens, C hidden size, H heads, K key and value heads, D head
//! width, F feed-forward size, V vocabulary size.
//!
//! `ids, mask: (B, T)` -> hidden states `(B, P+T, C)` -> logits `(B, P+T, V)`
//!
//! # Source
//! Touvron et al. 2023, arXiv:2302.13971; transformers' `modeling_llama.py`, which it matches
//! within 1e-4 (goldens `llama`, `llama-tied`)

mod build;
mod config;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Hidden, Linear, Model, ModelShape, Norm, Positions, Prefixes, ResidualAdd,
    Result, Role, Site, Tensor,
    ops::{self, AttentionSpec, RopeTable},
};

pub use config::{LlamaConfig, Variant};

use crate::parts::{check_length, decoder_sites, extend_mask};

/// A Llama model: [`crate::llama`] has its equations and shapes.
pub struct Llama {
    shape: ModelShape,
    embed_tokens: Embedding,
    layers: Vec<Arc<Block>>,
    norm: Norm,
    lm_head: Linear,
    rope: RopeTable,
    windows: Vec<Option<usize>>,
}

struct Block {
    input_layernorm: Norm,
    self_attn: Attention,
    attn_residual: ResidualAdd,
    post_attention_layernorm: Norm,
    mlp: FeedForward,
    mlp_residual: ResidualAdd,
}

struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
}

struct FeedForward {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// The inputs that all blocks of one forward pass share.
#[derive(Clone)]
struct Pass {
    cx: Context,
    prefixes: Prefixes,
    rope: RopeTable,
    positions: Positions,
    spec: AttentionSpec,
}

impl Model for Llama {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn sites(&self) -> Vec<Site<'_>> {
        decoder_sites(
            vec![Site::embedding(&self.embed_tokens, Role::Embedding)],
            self.layers.iter().map(|block| block.sites()),
            &self.norm,
            (!self.shape.tied).then_some(&self.lm_head),
        )
    }

    fn tied_head(&self) -> Option<&Linear> {
        self.shape.tied.then_some(&self.lm_head)
    }

    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        self.layers.iter().flat_map(|block| [&block.attn_residual, &block.mlp_residual]).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.embed_tokens
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let prefixes = Prefixes::of(&self.embed_tokens, cx)?;
        let positions = cx.positions(prefixes.len());
        let (mut x, virtual_tokens) = self.embed_tokens.forward_with_prompt(ids, cx)?; // (B, P+T, C)
        check_length(ids, prefixes.len(), x.dim(1)?, self.rope.positions(), cx)?;
        let mask =
            mask.map(|mask| prefixes.mask(&extend_mask(mask, virtual_tokens)?)).transpose()?; // (B, P+T)
        let spec = self.attention_spec(mask, cx.offset() + prefixes.len(), cx);
        let mut pass = Pass { cx: cx.clone(), prefixes, rope: self.rope.clone(), positions, spec };
        for (index, block) in self.layers.iter().enumerate() {
            pass.spec.window = self.windows.get(index).copied().flatten();
            let block = block.clone();
            let pass = pass.clone();
            x = cx.run_block(&x, move |x| block.forward(x, index, &pass))?;
        }
        Ok(Hidden { states: self.norm.forward(&x)?, virtual_tokens })
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        self.lm_head.forward(states, cx) // (.., V)
    }

    fn label_loss(
        &self,
        states: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        self.lm_head.cross_entropy(states, labels, normalizer, cx)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["q_proj", "v_proj"]
    }
}

impl Block {
    fn sites(&self) -> Vec<Site<'_>> {
        let attention = &self.self_attn;
        let mlp = &self.mlp;
        let mut sites = vec![Site::norm(&self.input_layernorm)];
        sites.extend(
            [&attention.q_proj, &attention.k_proj, &attention.v_proj, &attention.o_proj]
                .map(Site::linear),
        );
        sites.extend([&attention.q_norm, &attention.k_norm].into_iter().flatten().map(Site::norm));
        sites.push(Site::norm(&self.post_attention_layernorm));
        sites.extend([&mlp.gate_proj, &mlp.up_proj, &mlp.down_proj].map(Site::linear));
        sites
    }

    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let attn_output = self.self_attn.forward(&self.input_layernorm.forward(x)?, index, pass)?;
        let x = self.attn_residual.add(&attn_output, x, None, &pass.cx)?;
        let mlp_output = self.mlp.forward(&self.post_attention_layernorm.forward(&x)?, &pass.cx)?;
        self.mlp_residual.add(&mlp_output, &x, None, &pass.cx)
    }
}

impl Attention {
    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let Pass { cx, prefixes, rope, positions, spec } = pass;
        let q = norm_heads(self.q_norm.as_ref(), self.q_proj.forward(x, cx)?, spec.heads)?; // (B, T, H*D)
        let k = norm_heads(self.k_norm.as_ref(), self.k_proj.forward(x, cx)?, spec.kv_heads)?; // (B, T, K*D)
        let v = self.v_proj.forward(x, cx)?; // (B, T, K*D)
        let q = ops::rope(&q, rope, positions.clone(), spec.heads)?; // (B, T, H*D)
        let k = ops::rope(&k, rope, positions.clone(), spec.kv_heads)?; // (B, T, K*D)
        let (k, v) = prefixes.prepend(index, k, v)?; // with a prefix (B, P+T, K*D)
        let (k, v) = match &cx.cache {
            Some(cache) => cache.append(index, &k, &v)?, // (B, offset + T, K*D)
            None => (k, v),
        };
        self.o_proj.forward(&ops::attention(&q, &k, &v, spec)?, cx) // (B, T, C)
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let gate = self.gate_proj.forward(x, cx)?; // (B, T, F)
        let up = self.up_proj.forward(x, cx)?; // (B, T, F)
        self.down_proj.forward(&ops::swiglu(&gate, &up)?, cx) // (B, T, C)
    }
}

impl Llama {
    fn attention_spec(&self, mask: Option<Tensor>, offset: usize, cx: &Context) -> AttentionSpec {
        let ModelShape { heads, kv_heads, head_dim, .. } = self.shape;
        let scale = 1.0 / (head_dim as f32).sqrt();
        AttentionSpec {
            heads,
            kv_heads,
            causal: true,
            mask,
            offset,
            scale,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        }
    }
}

/// Normalizes each head separately, if there is a norm.
fn norm_heads(norm: Option<&Norm>, x: Tensor, heads: usize) -> Result<Tensor> {
    let Some(norm) = norm else { return Ok(x) };
    let (batch, tokens, width) = x.dims3()?;
    let split = x.reshape((batch, tokens, heads, width / heads))?; // (B, T, H, D)
    Ok(norm.forward(&split)?.reshape((batch, tokens, width))?) // (B, T, H*D)
}

#[cfg(test)]
pub(crate) mod tests;
