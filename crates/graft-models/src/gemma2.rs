//! The Gemma 2 family: the blocks of [`crate::gemma`] with bounded scores and logits; every second
//! layer has a sliding window.
//!
//! ```text
//! attention: softmax(c1 tanh(s q kᵀ / c1)) v       logits = c2 tanh(lm_head(norm(x)) / c2)
//! ```
//! Shapes and the other equations are those of [`crate::llama`].
//!
//! # Source
//! Gemma Team 2024, arXiv:2408.00118; transformers' `modeling_gemma2.py`, which it matches within
//! 1e-4 (goldens `gemma2`)

use serde_json::Value;

use crate::{
    gemma,
    llama::{LlamaConfig, Variant},
};

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`], and a description of an unsupported value.
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = gemma::config(json, 2)?;
    let variant =
        Variant { model_type: "gemma2", architecture: "Gemma2ForCausalLM", ..config.variant };
    Ok(LlamaConfig { variant, ..config })
}
