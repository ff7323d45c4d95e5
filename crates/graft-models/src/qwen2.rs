//! The Qwen2 and Qwen2.5 families: Llama with a bias of the query, key and value projections, and
//! optional sliding windows in the upper layers.
//!
//! Equations and shapes are those of [`crate::llama`].
//!
//! # Source
//! Yang et al. 2024, arXiv:2407.10671; transformers' `modeling_qwen2.py`

use serde_json::Value;

use crate::llama::{LlamaConfig, Variant};
use crate::window;

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`].
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::from_json(json)?;
    let windows = windows(json, config.num_hidden_layers)?;
    let variant = Variant {
        model_type: "qwen2",
        architecture: "Qwen2ForCausalLM",
        qkv_bias: true,
        windows,
        ..config.variant
    };
    Ok(LlamaConfig { attention_bias: false, mlp_bias: false, variant, ..config })
}

/// The window of each layer: with `use_sliding_window`, the layers from `max_window_layers` on have
/// one.
///
/// # Errors
/// The errors of [`window::of_layers`].
pub(crate) fn windows(json: &Value, layers: usize) -> Result<Vec<Option<usize>>, String> {
    let is_enabled = json.get("use_sliding_window").and_then(Value::as_bool).unwrap_or(false);
    let first = json.get("max_window_layers").and_then(Value::as_u64).unwrap_or(28) as usize;
    window::of_layers(json, layers, first, window::size(json).filter(|_| is_enabled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_keys_and_values_have_a_bias_and_the_output_has_none() {
        let names: Vec<_> = config(&crate::llama::tests::json())
            .unwrap()
            .weights()
            .into_iter()
            .map(|spec| spec.name)
            .collect();
        let has = |name: &str| names.contains(&format!("model.layers.0.self_attn.{name}.bias"));
        assert_eq!(["q_proj", "k_proj", "v_proj", "o_proj"].map(has), [true, true, true, false]);
    }

    #[test]
    fn windows_are_only_used_when_asked_for() {
        let mut json = crate::llama::tests::json();
        json["sliding_window"] = 8.into();
        json["max_window_layers"] = 1.into();
        assert_eq!(config(&json).unwrap().variant.windows, []);
        json["use_sliding_window"] = true.into();
        assert_eq!(config(&json).unwrap().variant.windows, [None, Some(8)]);
    }
}
