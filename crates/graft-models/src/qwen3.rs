//! The Qwen3 family: Llama with a norm of each query and key head before the rotation.
//!
//! ```text
//! attention(rope(q_norm(q_proj(n))), rope(k_norm(k_proj(n))), v_proj(n))
//! ```
//! Shapes and the other equations are those of [`crate::llama`].
//!
//! # Source
//! Yang et al. 2025, arXiv:2505.09388; transformers' `modeling_qwen3.py`, which it matches within
//! 1e-4 (goldens `qwen3`)

use serde_json::Value;

use crate::decoder::QkNorm;
use crate::llama::{LlamaConfig, Variant};
use crate::qwen2::windows;

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`].
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::from_json(json)?;
    let windows = windows(json, config.num_hidden_layers)?;
    let head_dim = if json.get("head_dim").is_some() { config.head_dim } else { 128 };
    let variant = Variant {
        model_type: "qwen3",
        architecture: "Qwen3ForCausalLM",
        qk_norm: QkNorm::Heads,
        windows,
        ..config.variant
    };
    Ok(LlamaConfig { head_dim, mlp_bias: false, variant, ..config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_has_a_norm_as_wide_as_a_head_for_queries_and_keys() {
        let mut json = crate::llama::tests::json();
        json["head_dim"] = 6.into();
        let weights = config(&json).unwrap().weights();
        let norms: Vec<_> = weights
            .iter()
            .filter(|spec| spec.name.contains("_norm.weight"))
            .map(|spec| spec.shape.clone())
            .collect();
        assert_eq!(norms, vec![vec![6]; 4]);
    }
}
