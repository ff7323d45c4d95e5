//! The SmolLM3 family: Llama in which some layers, usually every fourth, have no rotation (NoPE).
//!
//! Equations and shapes are those of [`crate::llama`].
//!
//! # Source
//! Yang et al. 2025, arXiv:2501.18795; transformers' `modeling_smollm3.py`, which it matches within
//! 1e-4 (goldens `smollm3`)

use serde_json::Value;

use crate::{
    llama::{LlamaConfig, Variant},
    sizes::ConfigSizes,
    window,
};

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`], and a description of `no_rope_layers` if it does not
/// have one number for each layer.
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::from_json(json)?;
    let rope_layers = rope_layers(json, config.num_hidden_layers)?;
    let is_sliding = json.get("use_sliding_window").and_then(Value::as_bool).unwrap_or(false);
    let sliding = window::size(json).filter(|_| is_sliding);
    let windows = match json.get("layer_types").and(sliding) {
        Some(_) => window::of_layers(json, config.num_hidden_layers, 0, sliding)?,
        // As in transformers, the layers without rotation have the windows.
        None => rope_layers.iter().map(|rotates| sliding.filter(|_| !rotates)).collect(),
    };
    let variant = Variant {
        model_type: "smollm3",
        architecture: "SmolLM3ForCausalLM",
        rope_layers,
        windows,
        ..config.variant
    };
    let is_tied = json.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(true);
    Ok(LlamaConfig { tie_word_embeddings: is_tied, variant, ..config })
}

/// Whether each layer has a rotation: `no_rope_layers` has 1 for such a layer, despite its name.
fn rope_layers(json: &Value, layers: usize) -> Result<Vec<bool>, String> {
    let Some(listed) = json.get("no_rope_layers").and_then(Value::as_array) else {
        let interval = ConfigSizes(json).or("no_rope_layer_interval", 4)?;
        return Ok((1..=layers).map(|layer| !layer.is_multiple_of(interval)).collect());
    };
    let parsed: Option<Vec<_>> =
        listed.iter().map(|rotates| rotates.as_u64().map(|rotates| rotates != 0)).collect();
    parsed.filter(|parsed| parsed.len() == layers).ok_or_else(|| {
        format!("`no_rope_layers` must have a 0 or 1 for each of the {layers} layers")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_fourth_layer_has_no_rotation_unless_the_config_lists_them() {
        let mut json = crate::llama::tests::json();
        json["num_hidden_layers"] = 5.into();
        let layers = |json: &Value| config(json).map(|config| config.variant.rope_layers);
        assert_eq!(layers(&json).unwrap(), [true, true, true, false, true]);
        json["no_rope_layers"] = json!([0, 1, 0, 1, 1]);
        assert_eq!(layers(&json).unwrap(), [false, true, false, true, true]);
        json["no_rope_layers"] = json!([0, 1]);
        assert!(layers(&json).unwrap_err().contains("5 layers"));
    }
}
