//! Construction of a Llama model from weights.

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{
    Device, Linear, NnError, ResidualAdd, Rng, Role, Sublayer, Tensor,
    ops::{RopeSpec, RopeTable},
};

use super::{Attention, Block, FeedForward, Llama, LlamaConfig};
use crate::{
    ModelError,
    parts::{Parts, fresh},
    weight_spec::WeightSource,
};

impl Llama {
    /// Builds a model whose weights `source` returns one by one, in the order of
    /// [`LlamaConfig::weights`].
    ///
    /// # Errors
    /// The errors of `source`, and [`ModelError::Layer`] if a weight has the wrong shape.
    pub fn build(
        config: &LlamaConfig,
        device: &Device,
        source: &mut WeightSource<'_>,
    ) -> Result<Self, ModelError> {
        let mut parts = Parts::new(source);
        let embed_tokens =
            parts.embedding("model.embed_tokens", [config.vocab_size, config.hidden_size])?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| block(&mut parts, config, index))
            .collect::<Result<_, _>>()?;
        let norm = parts.rms_norm("model.norm", config.hidden_size, config.rms_norm_eps)?;
        let lm_head = if config.tie_word_embeddings {
            Linear::sharing("lm_head", Role::Head, embed_tokens.shared_weight())?
        } else {
            parts.linear("lm_head", Role::Head, [config.vocab_size, config.hidden_size], false)?
        };
        let rope = RopeSpec {
            head_dim: config.head_dim,
            theta: config.rope_theta,
            scaling: config.rope_scaling,
            positions: config.max_position_embeddings,
        };
        let windows = config.variant.windows.clone();
        Ok(Self {
            shape: config.shape(),
            embed_tokens,
            layers,
            norm,
            lm_head,
            rope: RopeTable::new(&rope, device)?,
            windows,
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

/// Builds one block.
fn block(
    parts: &mut Parts<'_, '_>,
    config: &LlamaConfig,
    index: usize,
) -> Result<Arc<Block>, ModelError> {
    let path = format!("model.layers.{index}");
    let hidden = config.hidden_size;
    let eps = config.rms_norm_eps;
    Ok(Arc::new(Block {
        input_layernorm: parts.rms_norm(&format!("{path}.input_layernorm"), hidden, eps)?,
        self_attn: attention(parts, config, &format!("{path}.self_attn"))?,
        attn_residual: ResidualAdd::new(
            format!("{path}.attention_adapters"),
            Sublayer::Attention,
            index,
        ),
        post_attention_layernorm: parts.rms_norm(
            &format!("{path}.post_attention_layernorm"),
            hidden,
            eps,
        )?,
        mlp: feed_forward(parts, config, &format!("{path}.mlp"))?,
        mlp_residual: ResidualAdd::new(
            format!("{path}.output_adapters"),
            Sublayer::FeedForward,
            index,
        ),
    }))
}

fn attention(
    parts: &mut Parts<'_, '_>,
    config: &LlamaConfig,
    path: &str,
) -> Result<Attention, ModelError> {
    let at = |name: &str| format!("{path}.{name}");
    let hidden = config.hidden_size;
    let queries = config.num_attention_heads * config.head_dim;
    let keys = config.num_key_value_heads * config.head_dim;
    let (qkv_bias, output_bias) = config.attention_biases();
    let head_norm = |parts: &mut Parts<'_, '_>, name: &str| {
        let norm = config.variant.qk_norm;
        norm.then(|| parts.rms_norm(&at(name), config.head_dim, config.rms_norm_eps)).transpose()
    };
    Ok(Attention {
        q_proj: parts.linear(&at("q_proj"), Role::Query, [queries, hidden], qkv_bias)?,
        k_proj: parts.linear(&at("k_proj"), Role::Key, [keys, hidden], qkv_bias)?,
        v_proj: parts.linear(&at("v_proj"), Role::Value, [keys, hidden], qkv_bias)?,
        o_proj: parts.linear(&at("o_proj"), Role::Output, [hidden, queries], output_bias)?,
        q_norm: head_norm(parts, "q_norm")?,
        k_norm: head_norm(parts, "k_norm")?,
    })
}

fn feed_forward(
    parts: &mut Parts<'_, '_>,
    config: &LlamaConfig,
    path: &str,
) -> Result<FeedForward, ModelError> {
    let at = |name: &str| format!("{path}.{name}");
    let hidden = config.hidden_size;
    let ffn = config.intermediate_size;
    let bias = config.mlp_bias;
    Ok(FeedForward {
        gate_proj: parts.linear(&at("gate_proj"), Role::Gate, [ffn, hidden], bias)?,
        up_proj: parts.linear(&at("up_proj"), Role::Up, [ffn, hidden], bias)?,
        down_proj: parts.linear(&at("down_proj"), Role::Down, [hidden, ffn], bias)?,
    })
}
