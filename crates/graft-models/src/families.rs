//! The families that can be loaded. A new one is one file like `llama.rs` and one line in [`FAMILIES`].

use std::{path::Path, sync::Arc};

use graft_nn::{Device, Model, NnError, Rng, Task, Tensor};
use graft_spec::Failure;
use serde_json::Value;

use crate::{
    BertConfig, Gpt2Config, Llama, LlamaConfig, ModelError, WeightSpec, mistral, parts::fresh,
    qwen2, qwen3,
};

/// Gives the tensor of one weight.
pub(crate) type WeightSource<'a> = dyn FnMut(&WeightSpec) -> Result<Tensor, ModelError> + 'a;

/// A config that has been read: what to look for in the files, and how to make a model of it.
pub(crate) trait FamilyConfig {
    /// The weights that it asks for.
    fn weights(&self) -> Vec<WeightSpec>;

    /// The model.
    ///
    /// # Errors
    /// Those of `source`, and of layers that do not fit.
    fn build(
        &self,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError>;

    /// The same model with a head that tells so many kinds of text apart.
    ///
    /// # Errors
    /// A [`Failure`] where the family has no such head.
    fn with_labels(self: Box<Self>, _labels: usize) -> Result<Box<dyn FamilyConfig>, Failure> {
        let failure = Failure::new(
            "models::no_classifier",
            "`num_labels` is supported only for encoders of the BERT family",
        );
        Err(failure.hint("leave it out: a language model learns labels as text, see %data load which-book and %train"))
    }

    /// What the names of this family begin with; files of a bare trunk leave it out.
    fn prefix(&self) -> &'static str {
        "model."
    }

    /// Whether no file has to have a weight.
    fn may_be_fresh(&self, _spec: &WeightSpec) -> bool {
        false
    }

    /// A fresh value for a weight that no file has to have, such as that of a head for classes of one's own; none where it must be there.
    fn fresh(&self, _spec: &WeightSpec) -> Option<Vec<f32>> {
        None
    }
}

impl FamilyConfig for LlamaConfig {
    fn weights(&self) -> Vec<WeightSpec> {
        Self::weights(self)
    }

    fn build(
        &self,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(Llama::build(self, device, source)?))
    }
}

/// Reads a config; the problem in words where it cannot be meant.
type Read = fn(&Value) -> Result<Box<dyn FamilyConfig>, String>;

/// A family that can be loaded.
struct Family {
    /// `model_type` of its config.json.
    model_type: &'static str,
    /// How its config is read.
    read: Read,
    /// Its classes in transformers: bare, with a head for tokens, with one for classes of texts.
    architectures: [Option<&'static str>; 3],
}

/// The families.
const FAMILIES: &[Family] = &[
    decoder("llama", |config| Ok(Box::new(LlamaConfig::from_json(config)?)), "LlamaForCausalLM"),
    decoder("mistral", |config| Ok(Box::new(mistral::config(config)?)), "MistralForCausalLM"),
    decoder("qwen2", |config| Ok(Box::new(qwen2::config(config)?)), "Qwen2ForCausalLM"),
    decoder("qwen3", |config| Ok(Box::new(qwen3::config(config)?)), "Qwen3ForCausalLM"),
    decoder("gpt2", |config| Ok(Box::new(Gpt2Config::from_json(config)?)), "GPT2LMHeadModel"),
    Family {
        model_type: "bert",
        read: |config| Ok(Box::new(BertConfig::from_json(config)?)),
        architectures: [Some("BertModel"), None, Some("BertForSequenceClassification")],
    },
];

const fn decoder(model_type: &'static str, read: Read, causal: &'static str) -> Family {
    Family { model_type, read, architectures: [None, Some(causal), None] }
}

/// The class of transformers that a model of a family is.
pub(crate) fn architecture(model_type: &str, task: Task) -> Option<&'static str> {
    let [bare, causal, classifier] =
        FAMILIES.iter().find(|family| family.model_type == model_type)?.architectures;
    match task {
        Task::FeatureExtraction => bare,
        Task::CausalLm => causal,
        Task::SequenceClassification { .. } => classifier,
    }
}

/// A model with fresh weights: normal with `initializer_range`, norms 1, biases 0. `config` is what a config.json would say.
///
/// # Errors
/// [`ModelError::Malformed`] and [`ModelError::UnsupportedFamily`] as for a file, [`ModelError::Layer`] when candle cannot make a tensor.
pub fn random_model(
    config: &Value,
    seed: u64,
    device: &Device,
) -> Result<Arc<dyn Model>, ModelError> {
    let (range, rng) =
        (config.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02), Rng::new(seed));
    plan(config, Path::new("config.json"))?.build(device, &mut |spec| {
        Ok(Tensor::from_vec(fresh(spec, range, &rng), spec.shape.as_slice(), device)
            .map_err(NnError::from)?)
    })
}

/// The `model_type`s that are supported.
pub(crate) fn names() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.model_type).collect()
}

/// What the `config.json` at `path` asks for.
///
/// # Errors
/// [`ModelError::Malformed`] without a `model_type` or when the config cannot be meant, [`ModelError::UnsupportedFamily`] with another `model_type`.
pub(crate) fn plan(config: &Value, path: &Path) -> Result<Box<dyn FamilyConfig>, ModelError> {
    let malformed = |problem| ModelError::Malformed { path: path.to_owned(), problem };
    let model_type = config.get("model_type").and_then(Value::as_str);
    let model_type = model_type.ok_or_else(|| malformed("it has no `model_type`".to_owned()))?;
    let family = FAMILIES.iter().find(|family| family.model_type == model_type);
    let family = family.ok_or_else(|| ModelError::UnsupportedFamily {
        path: path.to_owned(),
        model_type: model_type.to_owned(),
    })?;
    (family.read)(config).map_err(malformed)
}
