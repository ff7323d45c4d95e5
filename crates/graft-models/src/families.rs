//! The supported model families. A new one is one file like `llama.rs` and one line in
//! [`FAMILIES`].

use std::{path::Path, sync::Arc};

use graft_nn::{Device, Model, NnError, Rng, Task, Tensor};
use serde_json::Value;

use crate::{
    BertConfig, Gpt2Config, LlamaConfig, ModelError, ModernBertConfig, T5Config, WeightSpec,
    distilbert, gemma2, gemma3, gpt_neox, granite, mistral, olmo2,
    parts::fresh,
    phi3, qwen2, qwen3,
    roberta::{self, ROBERTA, XLM_ROBERTA},
    smollm3,
    weight_spec::WeightSource,
};

/// A parsed config: lists the required weights and builds the model.
pub(crate) trait FamilyConfig {
    /// The required weights.
    fn weights(&self) -> Vec<WeightSpec>;

    /// Builds the model.
    ///
    /// # Errors
    /// The errors of `source`, and [`ModelError::Layer`] if a weight has the wrong shape.
    fn build(
        &self,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError>;

    /// The config of the same model with a classification head for `labels` classes.
    ///
    /// # Errors
    /// [`ModelError::NoClassifier`] if the family has no such head.
    fn with_labels(self: Box<Self>, _labels: usize) -> Result<Box<dyn FamilyConfig>, ModelError> {
        Err(ModelError::NoClassifier { supported: classifiers() })
    }

    /// Adapts the config to the weights in the files, where config.json leaves open which there
    /// are.
    fn adapt_to_files(&mut self, _is_stored: &dyn Fn(&str) -> bool) {}

    /// Prefix of the weight names of this family; checkpoints of the bare trunk omit it.
    fn prefix(&self) -> &'static str {
        "model."
    }

    /// Whether a weight may be missing in the files and is then newly initialized.
    fn may_be_fresh(&self, _spec: &WeightSpec) -> bool {
        false
    }

    /// Initial values of a weight that may be missing, such as that of a new classification head;
    /// `None` for a required weight.
    fn fresh(&self, _spec: &WeightSpec) -> Option<Vec<f32>> {
        None
    }
}

/// Parses a config; the error is a description of the problem.
type Parse = fn(&Value) -> Result<Box<dyn FamilyConfig>, String>;

/// A supported family.
struct Family {
    /// `model_type` of its config.json.
    model_type: &'static str,
    /// Parser of its config.
    parse: Parse,
    /// Its classes in transformers: the bare model, with a language-model head, with a
    /// classification head.
    architectures: [Option<&'static str>; 3],
}

/// The supported families.
const FAMILIES: &[Family] = &[
    decoder("llama", |config| Ok(Box::new(LlamaConfig::from_json(config)?)), "LlamaForCausalLM")
        .classifier("LlamaForSequenceClassification"),
    decoder("mistral", |config| Ok(Box::new(mistral::config(config)?)), "MistralForCausalLM")
        .classifier("MistralForSequenceClassification"),
    decoder("qwen2", |config| Ok(Box::new(qwen2::config(config)?)), "Qwen2ForCausalLM")
        .classifier("Qwen2ForSequenceClassification"),
    decoder("qwen3", |config| Ok(Box::new(qwen3::config(config)?)), "Qwen3ForCausalLM")
        .classifier("Qwen3ForSequenceClassification"),
    decoder("gemma2", |config| Ok(Box::new(gemma2::config(config)?)), "Gemma2ForCausalLM")
        .classifier("Gemma2ForSequenceClassification"),
    decoder("gemma3_text", |config| Ok(Box::new(gemma3::config(config)?)), "Gemma3ForCausalLM")
        .classifier("Gemma3TextForSequenceClassification"),
    decoder("phi3", |config| Ok(Box::new(phi3::config(config)?)), "Phi3ForCausalLM")
        .classifier("Phi3ForSequenceClassification"),
    decoder("olmo2", |config| Ok(Box::new(olmo2::config(config)?)), "Olmo2ForCausalLM"),
    decoder("smollm3", |config| Ok(Box::new(smollm3::config(config)?)), "SmolLM3ForCausalLM")
        .classifier("SmolLM3ForSequenceClassification"),
    decoder("granite", |config| Ok(Box::new(granite::config(config)?)), "GraniteForCausalLM"),
    decoder("gpt_neox", |config| Ok(Box::new(gpt_neox::config(config)?)), "GPTNeoXForCausalLM")
        .classifier("GPTNeoXForSequenceClassification"),
    decoder("gpt2", |config| Ok(Box::new(Gpt2Config::from_json(config)?)), "GPT2LMHeadModel"),
    encoder(
        "bert",
        |config| Ok(Box::new(BertConfig::from_json(config)?)),
        ["BertModel", "BertForSequenceClassification"],
    ),
    encoder(
        "roberta",
        |config| Ok(Box::new(roberta::config(config, ROBERTA)?)),
        ["RobertaModel", "RobertaForSequenceClassification"],
    ),
    encoder(
        "xlm-roberta",
        |config| Ok(Box::new(roberta::config(config, XLM_ROBERTA)?)),
        ["XLMRobertaModel", "XLMRobertaForSequenceClassification"],
    ),
    encoder(
        "distilbert",
        |config| Ok(Box::new(distilbert::config(config)?)),
        ["DistilBertModel", "DistilBertForSequenceClassification"],
    ),
    encoder(
        "modernbert",
        |config| Ok(Box::new(ModernBertConfig::from_json(config)?)),
        ["ModernBertModel", "ModernBertForSequenceClassification"],
    ),
    decoder(
        "t5",
        |config| Ok(Box::new(T5Config::from_json(config)?)),
        "T5ForConditionalGeneration",
    ),
    decoder(
        "mt5",
        |config| Ok(Box::new(T5Config::from_json(config)?)),
        "MT5ForConditionalGeneration",
    ),
];

const fn decoder(model_type: &'static str, parse: Parse, causal: &'static str) -> Family {
    Family { model_type, parse, architectures: [None, Some(causal), None] }
}

const fn encoder(
    model_type: &'static str,
    parse: Parse,
    [bare, classifier]: [&'static str; 2],
) -> Family {
    Family { model_type, parse, architectures: [Some(bare), None, Some(classifier)] }
}

impl Family {
    /// The family with the class of its models with a classification head.
    const fn classifier(self, class: &'static str) -> Self {
        let [bare, causal, _] = self.architectures;
        Self { architectures: [bare, causal, Some(class)], ..self }
    }
}

/// The families with a classification head.
pub(crate) fn classifiers() -> Vec<&'static str> {
    let with_head = FAMILIES.iter().filter(|family| family.architectures[2].is_some());
    with_head.map(|family| family.model_type).collect()
}

/// The class in transformers of a model of this family.
pub(crate) fn architecture(model_type: &str, task: Task) -> Option<&'static str> {
    let [bare, causal, classifier] =
        FAMILIES.iter().find(|family| family.model_type == model_type)?.architectures;
    match task {
        Task::FeatureExtraction => bare,
        Task::CausalLm | Task::Seq2SeqLm => causal,
        Task::SequenceClassification { .. } => classifier,
    }
}

/// A model with random weights: matrices normal with standard deviation `initializer_range`, norms
/// 1, biases 0. `config` has the contents of a config.json.
///
/// # Errors
/// [`ModelError::Malformed`] and [`ModelError::UnsupportedFamily`] as for a file,
/// [`ModelError::Layer`] if candle cannot create a tensor.
pub fn random_model(
    config: &Value,
    seed: u64,
    device: &Device,
) -> Result<Arc<dyn Model>, ModelError> {
    let range = config.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02);
    let rng = Rng::new(seed);
    plan(config, Path::new("config.json"))?.build(device, &mut |spec| {
        Ok(Tensor::from_vec(fresh(spec, range, &rng), spec.shape.as_slice(), device)
            .map_err(NnError::from)?)
    })
}

/// Parses a config; `path` is used in errors.
///
/// # Errors
/// [`ModelError::Malformed`] if the config is invalid, [`ModelError::UnsupportedFamily`] for an
/// unsupported `model_type`.
pub(crate) fn plan(config: &Value, path: &Path) -> Result<Box<dyn FamilyConfig>, ModelError> {
    let malformed = |problem| ModelError::Malformed { path: path.to_owned(), problem };
    let model_type = config.get("model_type").and_then(Value::as_str);
    let model_type = model_type.ok_or_else(|| malformed("it has no `model_type`".to_owned()))?;
    let family = FAMILIES.iter().find(|family| family.model_type == model_type);
    let family = family.ok_or_else(|| ModelError::UnsupportedFamily {
        path: path.to_owned(),
        model_type: model_type.to_owned(),
        supported: FAMILIES.iter().map(|family| family.model_type).collect(),
    })?;
    (family.parse)(config).map_err(malformed)
}
