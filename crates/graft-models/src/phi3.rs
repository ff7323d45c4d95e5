//! The Phi-3 and Phi-4-mini families: Llama with fused projections, and with a rotation of a part
//! of each head in Phi-4-mini.
//!
//! ```text
//! for each block:
//!     q, k, v = split(qkv_proj(input_layernorm(x)))
//!     x = x + o_proj(attention(rope(q), rope(k), v))
//!     gate, up = split(gate_up_proj(post_attention_layernorm(x)))
//!     x = x + down_proj(silu(gate) * up)
//! ```
//! Shapes and the other equations are those of [`crate::llama`].
//!
//! # Source
//! Abdin et al. 2024, arXiv:2404.14219; transformers' `modeling_phi3.py`, which it matches within
//! 1e-4 (goldens `phi3`)

use graft_nn::{Linear, Norm, ResidualAdd, Role, Site, Tensor, ops};
use serde_json::Value;

use crate::{
    ModelError,
    decoder::{DecoderBlock, Layout, Pass, attention::Heads, residual_adds},
    llama::{LlamaConfig, Variant},
    parts::{Parts, split},
    rope, window,
};

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`].
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::from_json(json)?;
    let variant = Variant {
        model_type: "phi3",
        architecture: "Phi3ForCausalLM",
        layout: Layout::Phi3,
        windows: window::of_layers(json, config.num_hidden_layers, 0, window::size(json))?,
        rotary_dim: Some(rope::partial(json, config.head_dim, 1.0)?),
        ..config.variant
    };
    Ok(LlamaConfig { attention_bias: false, mlp_bias: false, variant, ..config })
}

/// A block of Phi-3.
pub(crate) struct Block {
    input_layernorm: Norm,
    qkv_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: Norm,
    gate_up_proj: Linear,
    down_proj: Linear,
    heads: Heads,
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
        let hidden = config.hidden_size;
        let ffn = config.intermediate_size;
        let queries = heads.heads * config.head_dim;
        let fused = queries + 2 * heads.kv_heads * config.head_dim;
        let linear = |parts: &mut Parts<'_, '_>, name: &str, role, shape| {
            parts.linear(&at(name), role, shape, false)
        };
        Ok(Self {
            input_layernorm: config.norm(parts, &at("input_layernorm"), hidden)?,
            qkv_proj: linear(parts, "self_attn.qkv_proj", Role::QueryKeyValue, [fused, hidden])?,
            o_proj: linear(parts, "self_attn.o_proj", Role::Output, [hidden, queries])?,
            post_attention_layernorm: config.norm(
                parts,
                &at("post_attention_layernorm"),
                hidden,
            )?,
            gate_up_proj: linear(parts, "mlp.gate_up_proj", Role::Up, [2 * ffn, hidden])?,
            down_proj: linear(parts, "mlp.down_proj", Role::Down, [hidden, ffn])?,
            residual_adds: residual_adds(path, heads.block),
            heads,
        })
    }
}

impl DecoderBlock for Block {
    fn sites(&self) -> Vec<Site<'_>> {
        vec![
            Site::norm(&self.input_layernorm),
            Site::linear(&self.qkv_proj),
            Site::linear(&self.o_proj),
            Site::norm(&self.post_attention_layernorm),
            Site::linear(&self.gate_up_proj),
            Site::linear(&self.down_proj),
        ]
    }

    fn residual_adds(&self) -> [&ResidualAdd; 2] {
        self.residual_adds.each_ref()
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> graft_nn::Result<Tensor> {
        let cx = &pass.cx;
        let [attn_residual, mlp_residual] = &self.residual_adds;
        let Heads { heads, kv_heads, .. } = self.heads;
        let qkv = self.qkv_proj.forward(&self.input_layernorm.forward(x)?, cx)?; // (B, T, (H+2K)*D)
        let queries = self.o_proj.d_in();
        let keys = queries / heads * kv_heads;
        let qkv = split(&qkv, [queries, keys, keys])?; // (B, T, H*D), (B, T, K*D) twice
        let attn_output = self.o_proj.forward(&self.heads.attend(qkv, pass)?, cx)?; // (B, T, C)
        let x = attn_residual.add(&attn_output, x, None, cx)?; // (B, T, C)
        let n = self.post_attention_layernorm.forward(&x)?;
        let ffn = self.down_proj.d_in();
        let [gate, up] = split(&self.gate_up_proj.forward(&n, cx)?, [ffn, ffn])?; // (B, T, F) twice
        let mlp_output = self.down_proj.forward(&ops::swiglu(&gate, &up)?, cx)?; // (B, T, C)
        mlp_residual.add(&mlp_output, &x, None, cx) // (B, T, C)
    }
}
