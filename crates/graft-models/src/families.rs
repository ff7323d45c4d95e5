//! The families that can be loaded. A new one is one file like `llama.rs` and one line in [`FAMILIES`].

use std::{path::Path, sync::Arc};

use graft_nn::{Device, Model, Tensor};
use serde_json::Value;

use crate::{Llama, LlamaConfig, ModelError, WeightSpec};

/// Gives the tensor of one weight.
pub(crate) type Source<'a> = dyn FnMut(&WeightSpec) -> Result<Tensor, ModelError> + 'a;

/// Makes a model of a family from its config.
type Build = fn(&Value, &Device, &mut Source<'_>) -> Result<Arc<dyn Model>, ModelError>;

/// One family.
pub(crate) struct Family {
    /// `model_type` of its config.json.
    model_type: &'static str,
    /// The weights that a config asks for.
    pub(crate) weights: fn(&Value) -> Result<Vec<WeightSpec>, String>,
    /// The model from a config that `weights` has accepted.
    pub(crate) build: Build,
}

const FAMILIES: &[Family] = &[Family {
    model_type: "llama",
    weights: |config| Ok(LlamaConfig::from_json(config)?.weights()),
    build: |config, device, source| {
        let config = LlamaConfig::from_json(config).map_err(|problem| ModelError::Malformed { path: "config.json".into(), problem })?;
        Ok(Arc::new(Llama::build(&config, device, source)?))
    },
}];

/// The `model_type`s that are supported.
pub(crate) fn names() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.model_type).collect()
}

/// The family that `config.json` at `path` names.
///
/// # Errors
/// [`ModelError::Malformed`] without a `model_type`, [`ModelError::UnsupportedFamily`] with another one.
pub(crate) fn of(config: &Value, path: &Path) -> Result<&'static Family, ModelError> {
    let model_type = config.get("model_type").and_then(Value::as_str);
    let model_type = model_type.ok_or_else(|| ModelError::Malformed { path: path.to_owned(), problem: "it has no `model_type`".to_owned() })?;
    let family = FAMILIES.iter().find(|family| family.model_type == model_type);
    family.ok_or_else(|| ModelError::UnsupportedFamily { path: path.to_owned(), model_type: model_type.to_owned() })
}
