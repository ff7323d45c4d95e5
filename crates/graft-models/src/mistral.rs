//! The Mistral family: Llama with sliding-window attention over the last `sliding_window` keys.
//!
//! Equations and shapes are those of [`crate::llama`].
//!
//! # Source
//! Jiang et al. 2023, arXiv:2310.06825; transformers' `modeling_mistral.py`

use serde_json::Value;

use crate::llama::{LlamaConfig, Variant};
use crate::window;

/// transformers' default of `sliding_window` if the key is missing; `null` means full attention.
const WINDOW: usize = 4096;

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`LlamaConfig::from_json`].
pub fn config(json: &Value) -> Result<LlamaConfig, String> {
    let config = LlamaConfig::from_json(json)?;
    let sliding =
        if json.get("sliding_window").is_none() { Some(WINDOW) } else { window::size(json) };
    let windows = window::of_layers(json, config.num_hidden_layers, 0, sliding)?;
    let variant = Variant {
        model_type: "mistral",
        architecture: "MistralForCausalLM",
        windows,
        ..config.variant
    };
    Ok(LlamaConfig { attention_bias: false, mlp_bias: false, variant, ..config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_that_of_the_config_and_null_means_none() {
        let mut json = crate::llama::tests::json();
        assert_eq!(config(&json).unwrap().variant.windows, [Some(4096); 2]);
        json["sliding_window"] = 3.into();
        assert_eq!(config(&json).unwrap().variant.windows, [Some(3); 2]);
        json["sliding_window"] = Value::Null;
        assert_eq!(config(&json).unwrap().variant.windows, []);
    }

    #[test]
    fn a_token_outside_the_window_is_invisible() {
        use crate::llama::{Llama, tests};
        use graft_nn::{Context, Device, Model};
        let mut json = tests::json();
        json["sliding_window"] = 2.into();
        json["num_hidden_layers"] = 1.into();
        let last = |json: &Value, ids: &[u32]| {
            let model = Llama::random(&config(json).unwrap(), 3, &Device::Cpu).unwrap();
            model.logits(&tests::ids(ids), None, &Context::eval()).unwrap().narrow(1, 3, 1).unwrap()
        };
        assert!(tests::close(&last(&json, &[5, 9, 31, 2]), &last(&json, &[6, 1, 31, 2])));
        json["sliding_window"] = Value::Null;
        assert!(!tests::close(&last(&json, &[5, 9, 31, 2]), &last(&json, &[6, 1, 31, 2])));
    }
}
