//! Construction of a ModernBERT model from weights.

use std::sync::Arc;

use graft_nn::{
    Device, LabelNames, Model, ResidualAdd, Rng, Role, Sublayer,
    ops::{RopeScaling, RopeSpec, RopeTable},
};

use super::{Block, ClassificationHead, ModernBert, ModernBertConfig, Reach};
use crate::{
    ModelError, WeightSpec,
    families::FamilyConfig,
    parts::{Parts, fresh},
    weight_spec::WeightSource,
};

impl ModernBert {
    /// Builds a model whose weights `source` returns one by one.
    ///
    /// # Errors
    /// The errors of `source`, and [`ModelError::Layer`] if a weight has the wrong shape.
    pub fn build(
        config: &ModernBertConfig,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        let trunk = config.trunk();
        let mut parts = Parts::new(source);
        let tok_embeddings = parts
            .embedding(&format!("{trunk}embeddings.tok_embeddings"), [config.vocab_size, width])?;
        let norm = |parts: &mut Parts<'_, '_>, path: String| {
            parts.layer_norm_with(&path, width, config.norm_eps, config.norm_bias)
        };
        let embedding_norm = norm(&mut parts, format!("{trunk}embeddings.norm"))?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| block(&mut parts, config, index))
            .collect::<Result<_, _>>()?;
        let final_norm = norm(&mut parts, format!("{trunk}final_norm"))?;
        let head = config.num_labels.map(|labels| head(&mut parts, config, labels)).transpose()?;
        // The window of a token includes the token itself.
        let window = config.local_attention / 2 + 1;
        Ok(Self {
            shape: config.shape(),
            tok_embeddings,
            norm: embedding_norm,
            layers,
            final_norm,
            head,
            label_names: LabelNames::new(config.label_names.clone()),
            gelu: config.gelu,
            global: reach(config, config.global_rope.clone(), None, device)?,
            local: reach(config, config.local_rope.clone(), Some(window), device)?,
        })
    }
}

fn reach(
    config: &ModernBertConfig,
    (theta, scaling): (f64, RopeScaling),
    window: Option<usize>,
    device: &Device,
) -> Result<Reach, ModelError> {
    let spec = RopeSpec {
        head_dim: config.hidden_size / config.num_attention_heads,
        theta,
        scaling,
        positions: config.max_position_embeddings,
    };
    Ok(Reach { rope: RopeTable::new(&spec, device)?, window })
}

/// Builds one block.
fn block(
    parts: &mut Parts<'_, '_>,
    config: &ModernBertConfig,
    index: usize,
) -> Result<Arc<Block>, ModelError> {
    let at = |name: &str| format!("{}layers.{index}.{name}", config.trunk());
    let ModernBertConfig { hidden_size: width, intermediate_size: wide, .. } = *config;
    let ModernBertConfig { norm_eps: eps, norm_bias, attention_bias, mlp_bias, .. } = *config;
    let attn_norm = (index > 0)
        .then(|| parts.layer_norm_with(&at("attn_norm"), width, eps, norm_bias))
        .transpose()?;
    let qkv = [3 * width, width];
    Ok(Arc::new(Block {
        attn_norm,
        qkv: parts.linear(&at("attn.Wqkv"), Role::QueryKeyValue, qkv, attention_bias)?,
        attn_output: parts.linear(&at("attn.Wo"), Role::Output, [width; 2], attention_bias)?,
        attn_residual: ResidualAdd::new(at("attention_adapters"), Sublayer::Attention, index),
        mlp_norm: parts.layer_norm_with(&at("mlp_norm"), width, eps, norm_bias)?,
        wi: parts.linear(&at("mlp.Wi"), Role::Up, [2 * wide, width], mlp_bias)?,
        wo: parts.linear(&at("mlp.Wo"), Role::Down, [width, wide], mlp_bias)?,
        mlp_residual: ResidualAdd::new(at("output_adapters"), Sublayer::FeedForward, index),
        is_global: config.is_global.get(index).copied().unwrap_or(true),
    }))
}

fn head(
    parts: &mut Parts<'_, '_>,
    config: &ModernBertConfig,
    labels: usize,
) -> Result<ClassificationHead, ModelError> {
    let width = config.hidden_size;
    Ok(ClassificationHead {
        pooling: config.classifier_pooling,
        dense: parts.linear("head.dense", Role::Pooler, [width; 2], config.classifier_bias)?,
        gelu: config.classifier_gelu,
        norm: parts.layer_norm_with("head.norm", width, config.norm_eps, config.norm_bias)?,
        classifier: parts.linear("classifier", Role::Head, [labels, width], true)?,
    })
}

impl FamilyConfig for ModernBertConfig {
    fn weights(&self) -> Vec<WeightSpec> {
        Self::weights(self)
    }

    fn build(
        &self,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(ModernBert::build(self, device, source)?))
    }

    fn with_labels(self: Box<Self>, labels: usize) -> Result<Box<dyn FamilyConfig>, ModelError> {
        // As in transformers, the names are kept only if there is one for each class.
        let label_names = self.label_names.clone().filter(|names| names.len() == labels);
        Ok(Box::new(Self { num_labels: Some(labels), label_names, ..*self }))
    }

    /// The checkpoint of a masked language model has no classifier, and that of a bare encoder no
    /// head at all.
    fn may_be_fresh(&self, spec: &WeightSpec) -> bool {
        spec.name.starts_with("classifier.") || spec.name.starts_with("head.")
    }

    /// Normal with `initializer_range`, close to what transformers does.
    fn fresh(&self, spec: &WeightSpec) -> Option<Vec<f32>> {
        self.may_be_fresh(spec).then(|| fresh(spec, self.initializer_range, &Rng::new(0)))
    }
}
