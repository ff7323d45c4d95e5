//! Construction of a GPT-2 model from weights.

use std::sync::Arc;

use graft_nn::{Device, Linear, Model, ResidualAdd, Role, Sublayer};

use super::{Attention, Block, FeedForward, Gpt2, Gpt2Config};
use crate::{
    ModelError, WeightSpec, families::FamilyConfig, parts::Parts, weight_spec::WeightSource,
};

impl Gpt2 {
    /// Builds a model whose weights `source` returns one by one.
    ///
    /// # Errors
    /// The errors of `source`, and [`ModelError::Layer`] if a weight has the wrong shape.
    pub fn build(config: &Gpt2Config, source: &mut WeightSource<'_>) -> Result<Self, ModelError> {
        let width = config.n_embd;
        let mut parts = Parts::new(source);
        let wte = parts.embedding("transformer.wte", [config.vocab_size, width])?;
        let wpe = parts.embedding("transformer.wpe", [config.n_positions, width])?;
        let h = (0..config.n_layer)
            .map(|index| block(&mut parts, config, index))
            .collect::<Result<_, _>>()?;
        let ln_f = parts.layer_norm("transformer.ln_f", width, config.layer_norm_epsilon)?;
        let lm_head = if config.tie_word_embeddings {
            Linear::sharing("lm_head", Role::Head, wte.shared_weight())?
        } else {
            parts.linear("lm_head", Role::Head, [config.vocab_size, width], false)?
        };
        Ok(Self {
            shape: config.shape(),
            wte,
            wpe,
            h,
            ln_f,
            lm_head,
            gelu: config.gelu,
            by_layer: config.scale_attn_by_inverse_layer_idx,
        })
    }
}

/// Builds one block.
fn block(
    parts: &mut Parts<'_, '_>,
    config: &Gpt2Config,
    index: usize,
) -> Result<Arc<Block>, ModelError> {
    let at = |name: &str| format!("transformer.h.{index}.{name}");
    let width = config.n_embd;
    let inner = config.n_inner;
    let eps = config.layer_norm_epsilon;
    Ok(Arc::new(Block {
        ln_1: parts.layer_norm(&at("ln_1"), width, eps)?,
        attn: Attention {
            c_attn: parts.conv1d(&at("attn.c_attn"), Role::QueryKeyValue, [3 * width, width])?,
            c_proj: parts.conv1d(&at("attn.c_proj"), Role::Output, [width, width])?,
        },
        attn_residual: ResidualAdd::new(at("attention_adapters"), Sublayer::Attention, index),
        ln_2: parts.layer_norm(&at("ln_2"), width, eps)?,
        mlp: FeedForward {
            c_fc: parts.conv1d(&at("mlp.c_fc"), Role::Up, [inner, width])?,
            c_proj: parts.conv1d(&at("mlp.c_proj"), Role::Down, [width, inner])?,
        },
        mlp_residual: ResidualAdd::new(at("output_adapters"), Sublayer::FeedForward, index),
    }))
}

impl FamilyConfig for Gpt2Config {
    fn weights(&self) -> Vec<WeightSpec> {
        Self::weights(self)
    }

    fn build(
        &self,
        _device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(Gpt2::build(self, source)?))
    }

    fn prefix(&self) -> &'static str {
        "transformer."
    }
}
