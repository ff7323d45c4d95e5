//! `id2label` and `label2id` of config.json: the class names of a classifier.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sizes::ConfigSizes;

/// Number of classes of the head: that of the config if its first architecture is `classifier`;
/// `None` for a model without a head.
///
/// # Errors
/// Returns a description of the problem if `num_labels` is invalid.
pub(crate) fn count(config: &Value, classifier: &str) -> Result<Option<usize>, String> {
    let named = config
        .get("id2label")
        .and_then(Value::as_object)
        .map(serde_json::Map::len)
        .filter(|classes| *classes > 0);
    let architecture = config
        .get("architectures")
        .and_then(|names| names.get(0))
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok(if architecture == classifier {
        Some(ConfigSizes(config).or("num_labels", named.unwrap_or(2))?)
    } else {
        None
    })
}

/// The names in the order of the classes. `None` if there are none, if some are missing, or if they
/// are all `LABEL_0`, `LABEL_1`, …, which transformers writes for unnamed classes.
pub(crate) fn names(config: &Value) -> Option<Vec<String>> {
    let by_class = from_ids(config).or_else(|| from_labels(config))?;
    let names: Vec<String> =
        (0..by_class.len()).map(|class| by_class.get(&class).cloned()).collect::<Option<_>>()?;
    let is_named = names.iter().enumerate().any(|(class, name)| *name != format!("LABEL_{class}"));
    (is_named && !names.is_empty()).then_some(names)
}

/// `{"0": "negative", "1": "positive"}`.
fn from_ids(config: &Value) -> Option<BTreeMap<usize, String>> {
    let object = config.get("id2label")?.as_object()?;
    object.iter().map(|(class, name)| Some((class.parse().ok()?, text(name)))).collect()
}

/// `{"negative": 0, "positive": 1}`.
fn from_labels(config: &Value) -> Option<BTreeMap<usize, String>> {
    let object = config.get("label2id")?.as_object()?;
    object
        .iter()
        .map(|(name, class)| Some((usize::try_from(class.as_u64()?).ok()?, name.clone())))
        .collect()
}

/// A name as text; it may be a number in the JSON.
fn text(name: &Value) -> String {
    name.as_str().map_or_else(|| name.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_classes() {
        let names_of = |config: Value| names(&config);
        assert_eq!(
            names_of(json!({"id2label": {"1": "negative", "0": "positive"}})).unwrap(),
            ["positive", "negative"]
        );
        assert_eq!(names_of(json!({"label2id": {"spam": 1, "ham": 0}})).unwrap(), ["ham", "spam"]);
        let twelve: serde_json::Map<String, Value> =
            (0..12).map(|class| (class.to_string(), format!("c{class}").into())).collect();
        assert_eq!(names_of(json!({ "id2label": twelve })).unwrap()[10], "c10");
    }

    #[test]
    fn placeholders_and_broken_tables_are_not_names() {
        for config in [
            json!({}),
            json!({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}),
            json!({"id2label": {"0": "a", "2": "b"}}),
            json!({"id2label": {}}),
        ] {
            assert_eq!(names(&config), None, "{config}");
        }
    }
}
