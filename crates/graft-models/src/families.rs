//! The families that can be loaded. A new one is one file like `llama.rs` and one line in [`FAMILIES`].

use std::{path::Path, sync::Arc};

use graft_nn::{Device, Model, NnError, Rng, Tensor};
use graft_protocol::Failure;
use serde_json::Value;

use crate::{BertConfig, Gpt2Config, Llama, LlamaConfig, ModelError, WeightSpec, mistral, parts::fresh, qwen2, qwen3};

/// Gives the tensor of one weight.
pub(crate) type Source<'a> = dyn FnMut(&WeightSpec) -> Result<Tensor, ModelError> + 'a;

/// A config that has been read: what to look for in the files, and how to make a model of it.
pub(crate) trait Plan {
    /// The weights that it asks for.
    fn weights(&self) -> Vec<WeightSpec>;

    /// The model.
    ///
    /// # Errors
    /// Those of `source`, and of layers that do not fit.
    fn build(&self, device: &Device, source: &mut Source<'_>) -> Result<Arc<dyn Model>, ModelError>;

    /// The same model with a head that tells so many kinds of text apart.
    ///
    /// # Errors
    /// A [`Failure`] where the family has no such head.
    fn with_labels(self: Box<Self>, _labels: usize) -> Result<Box<dyn Plan>, Failure> {
        let failure = Failure::new("models::no_classifier", "num_labels makes a head for the encoders of the BERT family only");
        Err(failure.hint("leave it out: a language model learns labels as words, with %data load which-book and %train"))
    }

    /// What the names of this family begin with; files of a bare trunk leave it out.
    fn prefix(&self) -> &'static str {
        "model."
    }

    /// A fresh value for a weight that no file has to have, such as that of a head for classes of one's own; none where it must be there.
    fn fresh(&self, _spec: &WeightSpec) -> Option<Vec<f32>> {
        None
    }
}

impl Plan for LlamaConfig {
    fn weights(&self) -> Vec<WeightSpec> {
        Self::weights(self)
    }

    fn build(&self, device: &Device, source: &mut Source<'_>) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(Llama::build(self, device, source)?))
    }
}

/// Reads a config; the problem in words where it cannot be meant.
type Read = fn(&Value) -> Result<Box<dyn Plan>, String>;

/// `model_type` and how its config is read.
const FAMILIES: &[(&str, Read)] = &[
    ("llama", |config| Ok(Box::new(LlamaConfig::from_json(config)?))),
    ("mistral", |config| Ok(Box::new(mistral::config(config)?))),
    ("qwen2", |config| Ok(Box::new(qwen2::config(config)?))),
    ("qwen3", |config| Ok(Box::new(qwen3::config(config)?))),
    ("gpt2", |config| Ok(Box::new(Gpt2Config::from_json(config)?))),
    ("bert", |config| Ok(Box::new(BertConfig::from_json(config)?))),
];

/// A model with fresh weights: normal with `initializer_range`, norms 1, biases 0. `config` is what a config.json would say.
///
/// # Errors
/// [`ModelError::Malformed`] and [`ModelError::UnsupportedFamily`] as for a file, [`ModelError::Layer`] when candle cannot make a tensor.
pub fn random_model(config: &Value, seed: u64, device: &Device) -> Result<Arc<dyn Model>, ModelError> {
    let (range, rng) = (config.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02), Rng::new(seed));
    plan(config, Path::new("config.json"))?
        .build(device, &mut |spec| Ok(Tensor::from_vec(fresh(spec, range, &rng), spec.shape.as_slice(), device).map_err(NnError::from)?))
}

/// The `model_type`s that are supported.
pub(crate) fn names() -> Vec<&'static str> {
    FAMILIES.iter().map(|(model_type, _)| *model_type).collect()
}

/// What the `config.json` at `path` asks for.
///
/// # Errors
/// [`ModelError::Malformed`] without a `model_type` or when the config cannot be meant, [`ModelError::UnsupportedFamily`] with another `model_type`.
pub(crate) fn plan(config: &Value, path: &Path) -> Result<Box<dyn Plan>, ModelError> {
    let malformed = |problem| ModelError::Malformed { path: path.to_owned(), problem };
    let model_type = config.get("model_type").and_then(Value::as_str);
    let model_type = model_type.ok_or_else(|| malformed("it has no `model_type`".to_owned()))?;
    let family = FAMILIES.iter().find(|(known, _)| *known == model_type);
    let (_, read) = family.ok_or_else(|| ModelError::UnsupportedFamily { path: path.to_owned(), model_type: model_type.to_owned() })?;
    read(config).map_err(malformed)
}
