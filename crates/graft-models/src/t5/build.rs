//! Construction of a T5 model from weights.

use std::sync::Arc;

use graft_nn::{Device, Linear, Model, ResidualAdd, Role, Sublayer};

use super::{Attention, Block, FeedForward, RelativePositions, Stack, T5, T5Config};
use crate::{
    ModelError, WeightSpec, families::FamilyConfig, parts::Parts, weight_spec::WeightSource,
};

impl T5 {
    /// Builds a model whose weights `source` returns one by one.
    ///
    /// # Errors
    /// The errors of `source`, and [`ModelError::Layer`] if a weight has the wrong shape.
    pub fn build(config: &T5Config, source: &mut WeightSource<'_>) -> Result<Self, ModelError> {
        let table = [config.vocab_size, config.d_model];
        let mut parts = Parts::new(source);
        let shared = parts.embedding("shared", table)?;
        let encoder = stack(&mut parts, config, "encoder", config.num_layers)?;
        let decoder = stack(&mut parts, config, "decoder", config.num_decoder_layers)?;
        let lm_head = if config.tie_word_embeddings {
            Linear::sharing("lm_head", Role::Head, shared.shared_weight())?
        } else {
            parts.linear("lm_head", Role::Head, table, false)?
        };
        let scales = config.scale_decoder_outputs;
        Ok(Self {
            shape: config.shape(),
            shared,
            encoder,
            decoder,
            lm_head,
            head_scale: if scales { (config.d_model as f64).powf(-0.5) } else { 1.0 },
            start_token: config.decoder_start_token_id,
            activation: config.activation,
        })
    }
}

fn stack(
    parts: &mut Parts<'_, '_>,
    config: &T5Config,
    name: &str,
    blocks: usize,
) -> Result<Stack, ModelError> {
    let is_encoder = name == "encoder";
    let blocks = (0..blocks)
        .map(|index| block(parts, config, (name, is_encoder), index))
        .collect::<Result<_, _>>()?;
    let buckets = config.relative_attention_num_buckets;
    Ok(Stack {
        relative_attention_bias: parts.embedding(
            &format!("{name}.block.0.layer.0.SelfAttention.relative_attention_bias"),
            [buckets, config.num_heads],
        )?,
        relative_positions: RelativePositions {
            buckets,
            max_distance: config.relative_attention_max_distance,
            is_bidirectional: is_encoder,
        },
        blocks,
        final_layer_norm: parts.rms_norm(
            &format!("{name}.final_layer_norm"),
            config.d_model,
            config.layer_norm_epsilon,
        )?,
    })
}

/// Builds one block.
fn block(
    parts: &mut Parts<'_, '_>,
    config: &T5Config,
    (stack, is_encoder): (&str, bool),
    index: usize,
) -> Result<Arc<Block>, ModelError> {
    let at = |layer: usize| format!("{stack}.block.{index}.layer.{layer}");
    let cross_attention = (!is_encoder)
        .then(|| attention(parts, config, (&at(1), "EncDecAttention"), index))
        .transpose()?;
    let layer = at(1 + usize::from(cross_attention.is_some()));
    Ok(Arc::new(Block {
        self_attention: attention(parts, config, (&at(0), "SelfAttention"), index)?,
        cross_attention,
        feed_forward: feed_forward(parts, config, &layer, index)?,
    }))
}

fn attention(
    parts: &mut Parts<'_, '_>,
    config: &T5Config,
    (layer, name): (&str, &str),
    index: usize,
) -> Result<Attention, ModelError> {
    let at = |leaf: &str| format!("{layer}.{name}.{leaf}");
    let width = config.d_model;
    let heads = config.num_heads * config.d_kv;
    Ok(Attention {
        layer_norm: parts.rms_norm(
            &format!("{layer}.layer_norm"),
            width,
            config.layer_norm_epsilon,
        )?,
        q: parts.linear(&at("q"), Role::Query, [heads, width], false)?,
        k: parts.linear(&at("k"), Role::Key, [heads, width], false)?,
        v: parts.linear(&at("v"), Role::Value, [heads, width], false)?,
        o: parts.linear(&at("o"), Role::Output, [width, heads], false)?,
        residual: ResidualAdd::new(
            format!("{layer}.attention_adapters"),
            Sublayer::Attention,
            index,
        ),
    })
}

fn feed_forward(
    parts: &mut Parts<'_, '_>,
    config: &T5Config,
    layer: &str,
    index: usize,
) -> Result<FeedForward, ModelError> {
    let at = |leaf: &str| format!("{layer}.DenseReluDense.{leaf}");
    let (width, wide) = (config.d_model, config.d_ff);
    // The gate comes first.
    let roles: &[Role] = if config.is_gated { &[Role::Gate, Role::Up] } else { &[Role::Up] };
    let wi = config.feed_forward_inputs().iter().zip(roles);
    Ok(FeedForward {
        layer_norm: parts.rms_norm(
            &format!("{layer}.layer_norm"),
            width,
            config.layer_norm_epsilon,
        )?,
        wi: wi
            .map(|(name, role)| parts.linear(&at(name), *role, [wide, width], false))
            .collect::<Result<_, _>>()?,
        wo: parts.linear(&at("wo"), Role::Down, [width, wide], false)?,
        residual: ResidualAdd::new(
            format!("{layer}.output_adapters"),
            Sublayer::FeedForward,
            index,
        ),
    })
}

impl FamilyConfig for T5Config {
    fn weights(&self) -> Vec<WeightSpec> {
        Self::weights(self)
    }

    fn build(
        &self,
        _device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(T5::build(self, source)?))
    }

    /// transformers 5 writes `tie_word_embeddings: true` for every model, with a head in the files
    /// if it is not tied.
    fn adapt_to_files(&mut self, is_stored: &dyn Fn(&str) -> bool) {
        if !self.scale_decoder_outputs && is_stored("lm_head.weight") {
            self.tie_word_embeddings = false;
        }
    }

    fn prefix(&self) -> &'static str {
        "transformer."
    }
}
