//! The block of the Gemma families ([`gemma2`](crate::gemma2), [`gemma3`](crate::gemma3)): norms
//! before and after attention and feed-forward network.
//!
//! ```text
//! x = sqrt(C) embed(ids)
//! for each block:
//!     x = x + post_attention_layernorm(attention(input_layernorm(x)))
//!     x = x + post_feedforward_layernorm(mlp(pre_feedforward_layernorm(x)))
//! mlp(n) = down_proj(gelu(gate_proj(n)) * up_proj(n))
//! ```
//! The weight of a norm is an offset from 1. Layers with a sliding window alternate with layers of
//! full attention.
//!
//! # Shapes
//! Those of [`crate::llama`].
//!
//! # Source
//! Gemma Team 2024, arXiv:2408.00118, and 2025, arXiv:2503.19786

use graft_nn::{Norm, NormKind, ResidualAdd, Site, Tensor};
use serde_json::Value;

use crate::{
    ModelError, activation,
    decoder::{
        DecoderBlock, Gate, Layout, Pass,
        attention::{Heads, SelfAttention},
        feed_forward::FeedForward,
        residual_adds,
    },
    llama::{LlamaConfig, Variant},
    parts::Parts,
    sizes::ConfigSizes,
    window,
};

/// transformers' default of `head_dim` and `query_pre_attn_scalar`.
const HEAD_DIM: usize = 256;

/// What both families have in common; every `pattern`th layer has full attention.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`], and a description of an activation other than GELU or
/// of bidirectional attention.
pub(crate) fn config(json: &Value, pattern: usize) -> Result<LlamaConfig, String> {
    if json.get("use_bidirectional_attention").and_then(Value::as_bool).unwrap_or(false) {
        return Err("`use_bidirectional_attention` is not supported".to_owned());
    }
    let gelu = activation::gelu(json, "hidden_activation", "gelu_pytorch_tanh")?;
    let sizes = ConfigSizes(json);
    let config = LlamaConfig::with_defaults(json, Some(HEAD_DIM))?;
    let layers = config.num_hidden_layers;
    let number = |key: &str| json.get(key).and_then(Value::as_f64);
    let scalar = number("query_pre_attn_scalar").unwrap_or(HEAD_DIM as f64);
    let windows = match json.get("layer_types") {
        Some(_) => window::of_layers(json, layers, 0, window::size(json))?,
        None => window::every(layers, pattern, sizes.or("sliding_window", 4096)?),
    };
    let is_tied = json.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(true);
    let variant = Variant {
        layout: Layout::Gemma,
        norm: NormKind::RootMeanSquareOffset,
        gate: Gate::Gelu(gelu),
        windows,
        token_scale: (config.hidden_size as f64).sqrt(),
        attention_scale: Some(1.0 / scalar.sqrt()),
        attn_logit_softcapping: number("attn_logit_softcapping").map(|cap| cap as f32),
        final_logit_softcapping: number("final_logit_softcapping").map(|cap| cap as f32),
        ..config.variant
    };
    Ok(LlamaConfig { tie_word_embeddings: is_tied, mlp_bias: false, variant, ..config })
}

/// A block of Gemma.
pub(crate) struct Block {
    input_layernorm: Norm,
    self_attn: SelfAttention,
    post_attention_layernorm: Norm,
    pre_feedforward_layernorm: Norm,
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
            input_layernorm: norm(parts, "input_layernorm")?,
            self_attn: SelfAttention::build(parts, config, &at("self_attn"), heads)?,
            post_attention_layernorm: norm(parts, "post_attention_layernorm")?,
            pre_feedforward_layernorm: norm(parts, "pre_feedforward_layernorm")?,
            mlp: FeedForward::build(parts, config, &at("mlp"))?,
            post_feedforward_layernorm: norm(parts, "post_feedforward_layernorm")?,
        })
    }
}

impl DecoderBlock for Block {
    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites = vec![Site::norm(&self.input_layernorm)];
        sites.extend(self.self_attn.sites());
        sites.extend(
            [&self.post_attention_layernorm, &self.pre_feedforward_layernorm].map(Site::norm),
        );
        sites.extend(self.mlp.sites());
        sites.push(Site::norm(&self.post_feedforward_layernorm));
        sites
    }

    fn residual_adds(&self) -> [&ResidualAdd; 2] {
        self.residual_adds.each_ref()
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> graft_nn::Result<Tensor> {
        let [attn_residual, mlp_residual] = &self.residual_adds;
        let attn_output = self.self_attn.forward(&self.input_layernorm.forward(x)?, pass)?;
        let attn_output = self.post_attention_layernorm.forward(&attn_output)?;
        let x = attn_residual.add(&attn_output, x, None, &pass.cx)?; // (B, T, C)
        let mlp_output =
            self.mlp.forward(&self.pre_feedforward_layernorm.forward(&x)?, &pass.cx)?;
        let mlp_output = self.post_feedforward_layernorm.forward(&mlp_output)?;
        mlp_residual.add(&mlp_output, &x, None, &pass.cx) // (B, T, C)
    }
}
