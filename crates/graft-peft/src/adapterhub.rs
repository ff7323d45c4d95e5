//! `adapter_config.json` in AdapterHub's format: the fields of the method are nested under
//! `config`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The `peft_type` that marks such a configuration.
pub(crate) const PEFT_TYPE: &str = "ADAPTERHUB";
/// Name of the weights file.
pub(crate) const WEIGHTS: &str = "adapter.safetensors";
/// Fields outside `config`.
const AROUND: &[&str] = &[
    "hidden_size",
    "model_class",
    "model_name",
    "model_type",
    "name",
    "version",
    "modules_to_save",
];
/// Fields that are only used in memory.
const OWN: &[&str] = &["peft_type", "task_type", "base_model_name_or_path"];

/// Flattens the fields of an AdapterHub file; other configurations are not changed.
pub(crate) fn flat(mut fields: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    match (fields.contains_key("peft_type"), fields.remove("config")) {
        (false, Some(Value::Object(inner))) => {
            fields.extend(inner);
            fields.insert("peft_type".to_owned(), PEFT_TYPE.into());
            if let Some(model) = fields.get("model_name").cloned() {
                fields.insert("base_model_name_or_path".to_owned(), model);
            }
        }
        (_, Some(other)) => drop(fields.insert("config".to_owned(), other)),
        (_, None) => {}
    }
    fields
}

/// The fields, nested as in AdapterHub's files.
pub(crate) fn nested(fields: &BTreeMap<String, Value>, base_name: &str) -> BTreeMap<String, Value> {
    let mut around: BTreeMap<String, Value> = AROUND
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone())))
        .collect();
    around.retain(|name, value| name != "modules_to_save" || !value.is_null());
    around.insert("model_name".to_owned(), base_name.into());
    let inner: Map<String, Value> = fields
        .iter()
        .filter(|(name, _)| !AROUND.contains(&name.as_str()) && !OWN.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    around.insert("config".to_owned(), inner.into());
    around
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattened_fields_can_be_nested_again() {
        let text = r#"{"config": {"reduction_factor": 4, "dropout": 0.0}, "hidden_size": 32, "model_name": "m", "name": "n", "version": "adapters.1.3.0"}"#;
        let file: BTreeMap<String, Value> = serde_json::from_str(text).expect("JSON");
        let fields = flat(file.clone());
        assert_eq!(
            (fields["reduction_factor"].as_u64(), fields["peft_type"].as_str()),
            (Some(4), Some(PEFT_TYPE))
        );
        assert_eq!(nested(&fields, "m"), file);
        let other = BTreeMap::from([("peft_type".to_owned(), Value::from("LORA"))]);
        assert_eq!(flat(other.clone()), other);
    }
}
