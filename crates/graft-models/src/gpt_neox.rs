//! The GPT-NeoX family, with Pythia: decoders whose attention and feed-forward network read the
//! same hidden states, with a rotation of a part of each head.
//!
//! ```text
//! for each block:
//!     q, k, v = split(query_key_value(input_layernorm(x)))    # interleaved: q, k, v of each head
//!     x = x + dense(attention(rope(q), rope(k), v)) + mlp(post_attention_layernorm(x))
//! mlp(n) = dense_4h_to_h(gelu(dense_h_to_4h(n)))
//! logits = embed_out(final_layer_norm(x))
//! ```
//! Without `use_parallel_residual` the feed-forward network reads the sum of the first two terms.
//!
//! # Shapes
//! Those of [`crate::llama`], with K = H.
//!
//! # Source
//! Black et al. 2022, arXiv:2204.06745; Biderman et al. 2023, arXiv:2304.01373; transformers'
//! `modeling_gpt_neox.py`, which it matches within 1e-4 (goldens `neox`)

use graft_nn::{Linear, Norm, NormKind, ResidualAdd, Role, Site, Tensor, ops, ops::Gelu};
use serde_json::Value;

use crate::{
    ModelError, activation,
    decoder::{DecoderBlock, Gate, Layout, Pass, attention::Heads, residual_adds},
    llama::{LlamaConfig, Variant},
    parts::Parts,
    rope,
};

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`], and a description of an unsupported activation.
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::with_defaults(json, None)?;
    let number = |key: &str| json.get(key).and_then(Value::as_f64);
    let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or(true);
    // transformers 4 names two keys after this family.
    let (mut theta, scaling) = rope::from_config(json)?;
    if json.get("rope_parameters").is_none() {
        theta = number("rotary_emb_base").unwrap_or(theta);
    }
    let variant = Variant {
        model_type: "gpt_neox",
        architecture: "GPTNeoXForCausalLM",
        layout: Layout::GptNeoX,
        norm: NormKind::Layer,
        gate: Gate::Gelu(activation::gelu(json, "hidden_act", "gelu")?),
        rotary_dim: Some(rope::partial(
            json,
            config.head_dim,
            number("rotary_pct").unwrap_or(0.25),
        )?),
        parallel_residual: flag("use_parallel_residual"),
        ..config.variant
    };
    Ok(LlamaConfig {
        num_key_value_heads: config.num_attention_heads,
        rms_norm_eps: number("layer_norm_eps").unwrap_or(1e-5),
        rope_theta: theta,
        rope_scaling: scaling,
        attention_bias: flag("attention_bias"),
        variant,
        ..config
    })
}

/// A block of GPT-NeoX.
pub(crate) struct Block {
    input_layernorm: Norm,
    query_key_value: Linear,
    dense: Linear,
    post_attention_layernorm: Norm,
    dense_h_to_4h: Linear,
    dense_4h_to_h: Linear,
    heads: Heads,
    gelu: Gelu,
    is_parallel: bool,
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
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let bias = config.attention_bias;
        let norm = |parts: &mut Parts<'_, '_>, name: &str| config.norm(parts, &at(name), hidden);
        let linear = |parts: &mut Parts<'_, '_>, name: &str, role, shape, bias| {
            parts.linear(&at(name), role, shape, bias)
        };
        let fused = Role::QueryKeyValue;
        Ok(Self {
            input_layernorm: norm(parts, "input_layernorm")?,
            query_key_value: linear(
                parts,
                "attention.query_key_value",
                fused,
                [3 * hidden, hidden],
                bias,
            )?,
            dense: linear(parts, "attention.dense", Role::Output, [hidden, hidden], bias)?,
            post_attention_layernorm: norm(parts, "post_attention_layernorm")?,
            dense_h_to_4h: linear(parts, "mlp.dense_h_to_4h", Role::Up, [ffn, hidden], true)?,
            dense_4h_to_h: linear(parts, "mlp.dense_4h_to_h", Role::Down, [hidden, ffn], true)?,
            gelu: match config.variant.gate {
                Gate::Gelu(gelu) => gelu,
                Gate::Silu => Gelu::Exact,
            },
            is_parallel: config.variant.parallel_residual,
            residual_adds: residual_adds(path, heads.block),
            heads,
        })
    }

    /// `dense(attention(rope(q), rope(k), v))`, (B, T, C) -> (B, T, C)
    fn attention(&self, n: &Tensor, pass: &Pass) -> graft_nn::Result<Tensor> {
        let (batch, tokens, hidden) = n.dims3()?;
        let heads = self.heads.heads;
        let qkv = self.query_key_value.forward(n, &pass.cx)?; // (B, T, 3C)
        let qkv = qkv.reshape((batch, tokens, heads, 3, hidden / heads))?; // (B, T, H, 3, D)
        let part = |index: usize| -> graft_nn::Result<Tensor> {
            Ok(qkv.narrow(3, index, 1)?.contiguous()?.reshape((batch, tokens, hidden))?) // (B, T, C)
        };
        let attended = self.heads.attend([part(0)?, part(1)?, part(2)?], pass)?; // (B, T, C)
        self.dense.forward(&attended, &pass.cx)
    }

    /// (B, T, C) -> (B, T, C)
    fn mlp(&self, n: &Tensor, pass: &Pass) -> graft_nn::Result<Tensor> {
        let activated = ops::gelu(&self.dense_h_to_4h.forward(n, &pass.cx)?, self.gelu)?; // (B, T, F)
        self.dense_4h_to_h.forward(&activated, &pass.cx)
    }
}

impl DecoderBlock for Block {
    fn sites(&self) -> Vec<Site<'_>> {
        vec![
            Site::norm(&self.input_layernorm),
            Site::linear(&self.query_key_value),
            Site::linear(&self.dense),
            Site::norm(&self.post_attention_layernorm),
            Site::linear(&self.dense_h_to_4h),
            Site::linear(&self.dense_4h_to_h),
        ]
    }

    fn residual_adds(&self) -> [&ResidualAdd; 2] {
        self.residual_adds.each_ref()
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> graft_nn::Result<Tensor> {
        let [attn_residual, mlp_residual] = &self.residual_adds;
        let attn_output = self.attention(&self.input_layernorm.forward(x)?, pass)?;
        let with_attention = attn_residual.add(&attn_output, x, None, &pass.cx)?; // (B, T, C)
        let read = if self.is_parallel { x } else { &with_attention };
        let mlp_output = self.mlp(&self.post_attention_layernorm.forward(read)?, pass)?;
        mlp_residual.add(&mlp_output, &with_attention, None, &pass.cx) // (B, T, C)
    }
}
