//! Activation functions in `config.json`.

use graft_nn::ops::Gelu;
use serde_json::Value;

/// The form of the GELU that `key` names.
///
/// # Errors
/// Returns a description of the problem for any other activation.
pub(crate) fn gelu(config: &Value, key: &str, default: &str) -> Result<Gelu, String> {
    match config.get(key).and_then(Value::as_str).unwrap_or(default) {
        "gelu" => Ok(Gelu::Exact),
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Ok(Gelu::Tanh),
        other => Err(format!(
            "activation `{other}` is not supported (gelu, gelu_new and gelu_pytorch_tanh are)"
        )),
    }
}
