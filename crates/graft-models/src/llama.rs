//! The Llama family: decoders of pre-norm blocks with grouped-query attention, rotary positions and
//! a SwiGLU feed-forward network.
//!
//! Related families ([`mistral`](crate::mistral), [`qwen2`](crate::qwen2), [`qwen3`](crate::qwen3),
//! [`granite`](crate::granite), [`smollm3`](crate::smollm3)) describe their differences in a
//! [`Variant`].
//!
//! ```text
//! x = embed(ids)                              # soft prompts in front: T becomes P+T
//! for each block:
//!     n = input_layernorm(x)
//!     x = x + m o_proj(attention(rope(q_proj(n)), rope(k_proj(n)), v_proj(n)))
//!     n = post_attention_layernorm(x)
//!     x = x + m down_proj(silu(gate_proj(n)) * up_proj(n))
//! logits = lm_head(norm(x))
//! ```
//! `m` is 1, except in Granite. Module names are those of Hugging Face, so that adapter files are
//! compatible. [`crate::decoder`] computes what is outside of the blocks.
//!
//! # Shapes
//! B batch, T tokens, P virtual tokens, C hidden size, H heads, K key and value heads, D head
//! width, F feed-forward size, V vocabulary size.
//!
//! `ids, mask: (B, T)` -> hidden states `(B, P+T, C)` -> logits `(B, P+T, V)`
//!
//! # Source
//! Touvron et al. 2023, arXiv:2302.13971; transformers' `modeling_llama.py`, which it matches
//! within 1e-4 (goldens `llama`, `llama-tied`, `llama-cls`)

mod config;

use graft_nn::{Norm, ResidualAdd, Result, Site, Tensor};

pub use config::{LlamaConfig, Variant};

use crate::{
    ModelError,
    decoder::{
        Decoder, DecoderBlock, Pass,
        attention::{Heads, SelfAttention},
        feed_forward::FeedForward,
        residual_adds, times,
    },
    parts::Parts,
};

/// A Llama model: [`crate::llama`] has its equations and shapes.
pub type Llama = Decoder;

/// A block of Llama.
pub(crate) struct Block {
    input_layernorm: Norm,
    self_attn: SelfAttention,
    post_attention_layernorm: Norm,
    mlp: FeedForward,
    residual_adds: [ResidualAdd; 2],
    residual_multiplier: f64,
}

impl Block {
    /// Builds the block at `path`.
    pub(crate) fn build(
        parts: &mut Parts<'_, '_>,
        config: &LlamaConfig,
        path: &str,
        heads: Heads,
    ) -> std::result::Result<Self, ModelError> {
        let at = |name: &str| format!("{path}.{name}");
        let hidden = config.hidden_size;
        Ok(Self {
            residual_adds: residual_adds(path, heads.block),
            input_layernorm: config.norm(parts, &at("input_layernorm"), hidden)?,
            self_attn: SelfAttention::build(parts, config, &at("self_attn"), heads)?,
            post_attention_layernorm: config.norm(
                parts,
                &at("post_attention_layernorm"),
                hidden,
            )?,
            mlp: FeedForward::build(parts, config, &at("mlp"))?,
            residual_multiplier: config.variant.residual_multiplier,
        })
    }
}

impl DecoderBlock for Block {
    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites = vec![Site::norm(&self.input_layernorm)];
        sites.extend(self.self_attn.sites());
        sites.push(Site::norm(&self.post_attention_layernorm));
        sites.extend(self.mlp.sites());
        sites
    }

    fn residual_adds(&self) -> [&ResidualAdd; 2] {
        self.residual_adds.each_ref()
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let [attn_residual, mlp_residual] = &self.residual_adds;
        let m = self.residual_multiplier;
        let attn_output = self.self_attn.forward(&self.input_layernorm.forward(x)?, pass)?;
        let x = attn_residual.add(&times(attn_output, m)?, x, None, &pass.cx)?; // (B, T, C)
        let mlp_output = self.mlp.forward(&self.post_attention_layernorm.forward(&x)?, &pass.cx)?;
        mlp_residual.add(&times(mlp_output, m)?, &x, None, &pass.cx) // (B, T, C)
    }
}

#[cfg(test)]
pub(crate) mod tests;
