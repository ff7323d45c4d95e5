//! The Granite family: Llama with factors on embeddings, scores, residual additions and logits.
//!
//! ```text
//! x = embedding_multiplier embed(ids)
//! for each block:
//!     x = x + residual_multiplier o_proj(softmax(attention_multiplier q kᵀ) v)
//!     x = x + residual_multiplier mlp(post_attention_layernorm(x))
//! logits = lm_head(norm(x)) / logits_scaling
//! ```
//! Shapes and the other equations are those of [`crate::llama`].
//!
//! # Source
//! IBM Granite Team 2024, "Granite 3.0 Language Models"; transformers' `modeling_granite.py`, which
//! it matches within 1e-4 (goldens `granite`)

use serde_json::Value;

use crate::llama::{LlamaConfig, Variant};

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`], and a description of `logits_scaling` if it is zero.
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::from_json(json)?;
    let factor = |key: &str| json.get(key).and_then(Value::as_f64).unwrap_or(1.0);
    let logits_scaling = factor("logits_scaling");
    if logits_scaling == 0.0 {
        return Err("`logits_scaling` must not be 0".to_owned());
    }
    let variant = Variant {
        model_type: "granite",
        architecture: "GraniteForCausalLM",
        embedding_multiplier: factor("embedding_multiplier"),
        attention_scale: Some(factor("attention_multiplier")),
        residual_multiplier: factor("residual_multiplier"),
        logits_scaling,
        ..config.variant
    };
    Ok(LlamaConfig { variant, ..config })
}
