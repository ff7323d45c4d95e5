//! The text models of the Gemma 3 family: the blocks of [`crate::gemma`] with norms of query and
//! key heads. Five layers with a sliding window, and with a rotation of their own, precede each
//! layer of full attention.
//!
//! ```text
//! attention(rope(q_norm(q_proj(n))), rope(k_norm(k_proj(n))), v_proj(n))
//! ```
//! Shapes and the other equations are those of [`crate::llama`].
//!
//! # Source
//! Gemma Team 2025, arXiv:2503.19786; transformers' `modeling_gemma3.py`, which it matches within
//! 1e-4 (goldens `gemma3`)

use graft_nn::ops::RopeScaling;
use serde_json::Value;

use crate::{
    decoder::QkNorm,
    gemma,
    llama::{LlamaConfig, Variant},
    rope,
    sizes::ConfigSizes,
};

/// transformers' defaults of the bases of the rotary angles in layers with full attention and in
/// those with a sliding window.
const THETA: [f64; 2] = [1e6, 1e4];

/// Reads `config.json`, in the format of transformers 5 (`rope_parameters` for each type of layer)
/// or 4 (`rope_theta`, `rope_scaling` and `rope_local_base_freq`).
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`], and a description of an unsupported value.
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let by_type = |kind: &str| json.get("rope_parameters").and_then(|all| all.get(kind));
    let mut flat = json.clone();
    if let (Some(object), Some(full)) = (flat.as_object_mut(), by_type("full_attention")) {
        object.insert("rope_parameters".to_owned(), full.clone());
    }
    let sizes = ConfigSizes(json);
    let pattern = sizes.or("_sliding_window_pattern", sizes.or("sliding_window_pattern", 6)?)?;
    let config = gemma::config(&flat, pattern)?;
    let (rope_theta, rope_scaling) = rope::with_default(&flat, THETA[0])?;
    let sliding_rope = match by_type("sliding_attention") {
        Some(parameters) => rope::with_default(parameters, THETA[1])?,
        None => {
            let theta = json.get("rope_local_base_freq").and_then(Value::as_f64);
            (theta.unwrap_or(THETA[1]), RopeScaling::Default)
        }
    };
    let variant = Variant {
        model_type: "gemma3_text",
        architecture: "Gemma3ForCausalLM",
        qk_norm: QkNorm::Heads,
        sliding_rope: Some(sliding_rope),
        ..config.variant
    };
    Ok(LlamaConfig { rope_theta, rope_scaling, variant, ..config })
}
