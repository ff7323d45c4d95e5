//! The OLMo 2 family: Llama with norms after attention and feed-forward network instead of before,
//! and with norms of all query and key heads together.
//!
//! ```text
//! for each block:
//!     q, k, v = q_norm(q_proj(x)), k_norm(k_proj(x)), v_proj(x)
//!     x = x + post_attention_layernorm(attention(rope(q), rope(k), v))
//!     x = x + post_feedforward_layernorm(mlp(x))
//! ```
//! Shapes and the other equations are those of [`crate::llama`].
//!
//! # Source
//! OLMo Team 2025, arXiv:2501.00656; transformers' `modeling_olmo2.py`, which it matches within
//! 1e-4 (goldens `olmo2`)

use graft_nn::{Norm, ResidualAdd, Site, Tensor};
use serde_json::Value;

use crate::{
    ModelError,
    decoder::{
        DecoderBlock, Layout, Pass, QkNorm,
        attention::{Heads, SelfAttention},
        feed_forward::FeedForward,
        residual_adds,
    },
    llama::{LlamaConfig, Variant},
    parts::Parts,
};

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`].
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::from_json(json)?;
    let variant = Variant {
        model_type: "olmo2",
        architecture: "Olmo2ForCausalLM",
        layout: Layout::Olmo2,
        qk_norm: QkNorm::Whole,
        ..config.variant
    };
    Ok(LlamaConfig { mlp_bias: false, variant, ..config })
}

/// A block of OLMo 2.
pub(crate) struct Block {
    self_attn: SelfAttention,
    post_attention_layernorm: Norm,
    mlp: FeedForward,
    post_feedforward_layernorm: Norm,
    residual_adds: [ResidualAdd; 2],
}

impl Block {
    /// Builds the block at `path`.
    pub(crate) fn build(
        parts: &mut Parts<'_, '_>,
        config: &LlamaConfig,
        path: &str,
        heads: Heads,
    ) -> Result<Self, ModelError> {
        let at = |name: &str| format!("{path}.{name}");
        let norm = |parts: &mut Parts<'_, '_>, name: &str| {
            config.norm(parts, &at(name), config.hidden_size)
        };
        Ok(Self {
            residual_adds: residual_adds(path, heads.block),
            self_attn: SelfAttention::build(parts, config, &at("self_attn"), heads)?,
            post_attention_layernorm: norm(parts, "post_attention_layernorm")?,
            mlp: FeedForward::build(parts, config, &at("mlp"))?,
            post_feedforward_layernorm: norm(parts, "post_feedforward_layernorm")?,
        })
    }
}

impl DecoderBlock for Block {
    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites = self.self_attn.sites();
        sites.push(Site::norm(&self.post_attention_layernorm));
        sites.extend(self.mlp.sites());
        sites.push(Site::norm(&self.post_feedforward_layernorm));
        sites
    }

    fn residual_adds(&self) -> [&ResidualAdd; 2] {
        self.residual_adds.each_ref()
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> graft_nn::Result<Tensor> {
        let [attn_residual, mlp_residual] = &self.residual_adds;
        let attn_output = self.self_attn.forward(x, pass)?;
        let attn_output = self.post_attention_layernorm.forward(&attn_output)?;
        let x = attn_residual.add(&attn_output, x, None, &pass.cx)?; // (B, T, C)
        let mlp_output = self.mlp.forward(&x, &pass.cx)?;
        let mlp_output = self.post_feedforward_layernorm.forward(&mlp_output)?;
        mlp_residual.add(&mlp_output, &x, None, &pass.cx) // (B, T, C)
    }
}
