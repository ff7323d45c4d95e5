//! Construction of a BERT model from weights.

use std::sync::Arc;

use graft_nn::{Device, LabelNames, Linear, Model, ResidualAdd, Rng, Role, Sublayer};

use super::{Bert, BertConfig, Block, Embeddings};
use crate::{
    ModelError, WeightSpec,
    families::FamilyConfig,
    parts::{Parts, fresh},
    weight_spec::WeightSource,
};

impl Bert {
    /// Builds a model whose weights `source` returns one by one.
    ///
    /// # Errors
    /// The errors of `source`, and [`ModelError::Layer`] if a weight has the wrong shape.
    pub fn build(config: &BertConfig, source: &mut WeightSource<'_>) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        let trunk = config.trunk();
        let mut parts = Parts::new(source);
        let embeddings = embeddings(&mut parts, config, &format!("{trunk}embeddings"))?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| block(&mut parts, config, index))
            .collect::<Result<_, _>>()?;
        let pooler = config
            .pooler()
            .map(|path| parts.linear(path, Role::Pooler, [width, width], true))
            .transpose()?;
        let path = config.variant.head.classifier;
        let classifier = config
            .num_labels
            .map(|labels| parts.linear(path, Role::Head, [labels, width], true))
            .transpose()?;
        Ok(Self {
            shape: config.shape(),
            embeddings,
            layers,
            pooler,
            classifier,
            label_names: LabelNames::new(config.label_names.clone()),
            gelu: config.gelu,
            variant: config.variant,
        })
    }
}

fn embeddings(
    parts: &mut Parts<'_, '_>,
    config: &BertConfig,
    path: &str,
) -> Result<Embeddings, ModelError> {
    let width = config.hidden_size;
    let mut table = |name: &str, rows: usize| {
        parts.embedding(&format!("{path}.{name}_embeddings"), [rows, width])
    };
    let word = table("word", config.vocab_size)?;
    let position = table("position", config.max_position_embeddings)?;
    let has_types = config.type_vocab_size > 0;
    let token_type = has_types.then(|| table("token_type", config.type_vocab_size)).transpose()?;
    let norm = parts.layer_norm(&format!("{path}.LayerNorm"), width, config.layer_norm_eps)?;
    Ok(Embeddings { word, position, token_type, norm, first_position: config.first_position })
}

/// Builds one block.
fn block(
    parts: &mut Parts<'_, '_>,
    config: &BertConfig,
    index: usize,
) -> Result<Arc<Block>, ModelError> {
    let at = |name: &str| format!("{}.{name}", config.block(index));
    let names = config.variant.names;
    let width = config.hidden_size;
    let inner = config.intermediate_size;
    let eps = config.layer_norm_eps;
    let square =
        |parts: &mut Parts<'_, '_>, name: &str, role: Role| -> Result<Linear, ModelError> {
            parts.linear(&at(name), role, [width, width], true)
        };
    Ok(Arc::new(Block {
        query: square(parts, names.query, Role::Query)?,
        key: square(parts, names.key, Role::Key)?,
        value: square(parts, names.value, Role::Value)?,
        attention_output: square(parts, names.attention_output, Role::Output)?,
        attn_residual: ResidualAdd::new(at(names.attn_adapters), Sublayer::Attention, index),
        attention_norm: parts.layer_norm(&at(names.attention_norm), width, eps)?,
        intermediate: parts.linear(&at(names.intermediate), Role::Up, [inner, width], true)?,
        output: parts.linear(&at(names.output), Role::Down, [width, inner], true)?,
        mlp_residual: ResidualAdd::new(at(names.mlp_adapters), Sublayer::FeedForward, index),
        output_norm: parts.layer_norm(&at(names.output_norm), width, eps)?,
    }))
}

impl FamilyConfig for BertConfig {
    fn weights(&self) -> Vec<WeightSpec> {
        Self::weights(self)
    }

    fn build(
        &self,
        _device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(Bert::build(self, source)?))
    }

    fn with_labels(self: Box<Self>, labels: usize) -> Result<Box<dyn FamilyConfig>, ModelError> {
        // As in transformers, the names are kept only if there is one for each class.
        let label_names = self.label_names.clone().filter(|names| names.len() == labels);
        Ok(Box::new(Self { num_labels: Some(labels), label_names, ..*self }))
    }

    fn prefix(&self) -> &'static str {
        self.variant.trunk
    }

    /// The checkpoint of a bare encoder has no classifier, and that of a masked language model has
    /// no pooler.
    fn may_be_fresh(&self, spec: &WeightSpec) -> bool {
        spec.name.contains("classifier.") || spec.name.contains("pooler.")
    }

    /// Normal with `initializer_range`, as transformers does.
    fn fresh(&self, spec: &WeightSpec) -> Option<Vec<f32>> {
        self.may_be_fresh(spec).then(|| fresh(spec, self.initializer_range, &Rng::new(0)))
    }
}
