//! Sliding windows in `config.json`.

use serde_json::Value;

/// `sliding_window`, if it is a number.
pub(crate) fn size(config: &Value) -> Option<usize> {
    config
        .get("sliding_window")
        .and_then(Value::as_u64)
        .filter(|size| *size > 0)
        .map(|size| size as usize)
}

/// The window of each layer, empty if no layer has one: from `layer_types` (transformers 5), or
/// else `sliding` for all layers from `first` on.
///
/// # Errors
/// Returns a description of the problem if `layer_types` has the wrong length or an unknown value.
pub(crate) fn of_layers(
    config: &Value,
    layers: usize,
    first: usize,
    sliding: Option<usize>,
) -> Result<Vec<Option<usize>>, String> {
    let Some(sliding) = sliding else { return Ok(Vec::new()) };
    let Some(types) = config.get("layer_types").and_then(Value::as_array) else {
        return Ok((0..layers).map(|layer| (layer >= first).then_some(sliding)).collect());
    };
    if types.len() != layers {
        return Err(format!("`layer_types` has {} entries for {layers} layers", types.len()));
    }
    let window = |kind: &Value| match kind.as_str() {
        Some("sliding_attention") => Ok(Some(sliding)),
        Some("full_attention") => Ok(None),
        _ => Err(format!(
            "`layer_types` has {kind}, which is not supported (full_attention and \
             sliding_attention are)"
        )),
    };
    types.iter().map(window).collect()
}

/// The window of each layer if every `pattern`th one has full attention, and `sliding` otherwise.
pub(crate) fn every(layers: usize, pattern: usize, sliding: usize) -> Vec<Option<usize>> {
    (1..=layers).map(|layer| (!layer.is_multiple_of(pattern)).then_some(sliding)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_of_layers_go_before_the_first_layer_that_slides() {
        assert_eq!(of_layers(&json!({}), 3, 1, Some(8)).unwrap(), [None, Some(8), Some(8)]);
        let typed = json!({"layer_types": ["sliding_attention", "full_attention"]});
        assert_eq!(of_layers(&typed, 2, 9, Some(8)).unwrap(), [Some(8), None]);
        assert_eq!(of_layers(&typed, 2, 0, None).unwrap(), []);
    }

    #[test]
    fn types_that_do_not_fit_are_named() {
        let typed = json!({"layer_types": ["linear_attention"]});
        assert!(of_layers(&typed, 1, 0, Some(8)).unwrap_err().contains("linear_attention"));
        assert!(of_layers(&typed, 2, 0, Some(8)).unwrap_err().contains("1 entries for 2 layers"));
    }
}
