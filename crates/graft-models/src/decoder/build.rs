//! Construction of decoders from weights.

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{
    Device, LabelNames, Linear, Model, NnError, ResidualAdd, Rng, Role, Sublayer, Tensor,
    ops::{RopeScaling, RopeSpec, RopeTable},
};

use super::{Classes, Decoder, Head, attention::Heads};
use crate::{
    ModelError, WeightSpec,
    families::{self, FamilyConfig},
    llama::LlamaConfig,
    parts::{Parts, fresh},
    weight_spec::WeightSource,
};

impl Decoder {
    /// Builds a model whose weights `source` returns one by one.
    ///
    /// # Errors
    /// The errors of `source`, and [`ModelError::Layer`] if a weight has the wrong shape.
    pub fn build(
        config: &LlamaConfig,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Self, ModelError> {
        let variant = &config.variant;
        let names = variant.layout.names();
        let at = |name: &str| format!("{}.{name}", names.trunk);
        let mut parts = Parts::new(source);
        let embed_tokens = parts
            .embedding(&at(names.embedding), [config.vocab_size, config.hidden_size])?
            .scaled(variant.token_scale)?;
        let table =
            |theta, scaling: &RopeScaling| RopeTable::new(&rope(config, theta, scaling), device);
        let full = table(config.rope_theta, &config.rope_scaling)?;
        let sliding = match &variant.sliding_rope {
            Some((theta, scaling)) => table(*theta, scaling)?,
            None => full.clone(),
        };
        let block = |index: usize| {
            let heads = Heads::new(config, index, [&full, &sliding]);
            variant.layout.block(&mut parts, config, &at(&format!("layers.{index}")), heads)
        };
        let layers = (0..config.num_hidden_layers).map(block).collect::<Result<_, _>>()?;
        let norm = config.norm(&mut parts, &at(names.norm), config.hidden_size)?;
        let classes = variant.labels.map(|_| Classes {
            names: LabelNames::new(variant.label_names.clone()),
            padding: variant.pad_token_id,
        });
        let mut linear = |path: &str, rows: usize| {
            parts.linear(path, Role::Head, [rows, config.hidden_size], false)
        };
        let linear = match variant.labels {
            Some(labels) => linear("score", labels)?,
            None if config.tie_word_embeddings => {
                Linear::sharing(names.head, Role::Head, embed_tokens.shared_weight())?
            }
            None => linear(names.head, config.vocab_size)?,
        };
        let (divisor, softcap) = match classes {
            Some(_) => (1.0, None),
            None => (variant.logits_scaling, variant.final_logit_softcapping),
        };
        Ok(Self {
            shape: config.shape(),
            embed_tokens,
            embedding_multiplier: variant.embedding_multiplier,
            layers,
            norm,
            head: Head { linear, divisor, softcap, classes },
            default_targets: variant.layout.default_targets(),
        })
    }

    /// A model with random weights, initialized as in transformers: matrices normal with standard
    /// deviation `initializer_range`, norms 1, biases 0.
    ///
    /// # Errors
    /// [`ModelError::Layer`] if candle cannot create a tensor.
    pub fn random(config: &LlamaConfig, seed: u64, device: &Device) -> Result<Self, ModelError> {
        let rng = Rng::new(seed);
        Self::build(config, device, &mut |spec| {
            Ok(Tensor::from_vec(
                fresh(spec, config.initializer_range, &rng),
                spec.shape.as_slice(),
                device,
            )
            .map_err(NnError::from)?)
        })
    }

    /// A model from tensors by Hugging Face name.
    ///
    /// # Errors
    /// [`ModelError::MissingWeights`] for the first missing weight, [`ModelError::Layer`] if one
    /// has the wrong shape.
    pub fn load(
        tensors: &BTreeMap<String, Tensor>,
        config: &LlamaConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let expected = config.weights().len();
        Self::build(config, device, &mut |spec| {
            let missing = || ModelError::MissingWeights {
                folder: "the tensors given".into(),
                names: vec![spec.name.clone()],
                expected,
            };
            tensors.get(&spec.name).cloned().ok_or_else(missing)
        })
    }
}

fn rope(config: &LlamaConfig, theta: f64, scaling: &RopeScaling) -> RopeSpec {
    RopeSpec {
        head_dim: config.variant.rotary_dim.unwrap_or(config.head_dim),
        theta,
        scaling: scaling.clone(),
        positions: config.max_position_embeddings,
    }
}

/// The residual additions of the block at `path`, with the paths of AdapterHub's adapters.
pub(crate) fn residual_adds(path: &str, block: usize) -> [ResidualAdd; 2] {
    [("attention_adapters", Sublayer::Attention), ("output_adapters", Sublayer::FeedForward)]
        .map(|(name, sublayer)| ResidualAdd::new(format!("{path}.{name}"), sublayer, block))
}

/// All weights by Hugging Face name, in the order in which the model is built.
pub(crate) fn weights(config: &LlamaConfig) -> Vec<WeightSpec> {
    let mut specs = Vec::new();
    let record = Decoder::build(config, &Device::Cpu, &mut |spec| {
        specs.push(spec.clone());
        // One element that is repeated, so that nothing of the size of the model is allocated.
        let zero = Tensor::zeros(vec![1; spec.shape.len()], graft_nn::DType::F32, &Device::Cpu)
            .and_then(|zero| zero.broadcast_as(spec.shape.as_slice()));
        Ok(zero.map_err(NnError::from)?)
    });
    // A config that cannot be built is reported when the model is built.
    drop(record);
    specs
}

impl FamilyConfig for LlamaConfig {
    fn weights(&self) -> Vec<WeightSpec> {
        weights(self)
    }

    fn build(
        &self,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(Decoder::build(self, device, source)?))
    }

    fn with_labels(
        mut self: Box<Self>,
        labels: usize,
    ) -> Result<Box<dyn FamilyConfig>, ModelError> {
        let task = graft_nn::Task::SequenceClassification { labels };
        if families::architecture(self.variant.model_type, task).is_none() {
            return Err(ModelError::NoClassifier { supported: families::classifiers() });
        }
        let variant = &mut self.variant;
        variant.labels = Some(labels);
        // As in transformers, the names are kept only if there is one for each class.
        variant.label_names = variant.label_names.take().filter(|names| names.len() == labels);
        Ok(self)
    }

    fn prefix(&self) -> &'static str {
        self.variant.layout.names().prefix
    }

    /// The checkpoint of a language model has no classification head.
    fn may_be_fresh(&self, spec: &WeightSpec) -> bool {
        spec.name == "score.weight"
    }

    /// Normal with `initializer_range`, as transformers does.
    fn fresh(&self, spec: &WeightSpec) -> Option<Vec<f32>> {
        self.may_be_fresh(spec).then(|| fresh(spec, self.initializer_range, &Rng::new(0)))
    }
}
