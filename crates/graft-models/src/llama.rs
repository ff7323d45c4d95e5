//! The Llama family: decoders of pre-norm blocks with grouped-query attention, rotary positions and
//! a SwiGLU feed-forward network.
//!
//! Related families ([`mistral`](crate::mistral), [`qwen2`](crate::qwen2), [`qwen3`](crate::qwen3))
//! describe their differences in a [`Variant`].
//!
//! ```text
//! x = embed(ids)                              # soft prompts in front: T becomes P+T
//! for each block:
//!     x = x + o_proj(attention(rope(q_proj(n)), rope(k_proj(n)), v_proj(n)))      n = input_layernorm(x)
//!     x = x + down_proj(silu(gate_proj(n)) * up_proj(n))                          n = post_attention_layernorm(x)
//! logits = lm_head(norm(x))
//! ```
//! Module names are those of Hugging Face, so that adapter files are compatible.
//!
//! # Shapes
//! B batch, T tokens, P virtual tokens, C hidden size, H heads, K key and value heads, D head
//! width, F feed-forward size, V vocabulary size. `ids, mask: (B, T)` -> hidden states `(B, P+T,
//! C)` -> logits `(B, P+T, V)`
//!
//! # Source
//! Touvron et al. 2023, arXiv:2302.13971; transformers' `modeling_llama.py`, which it matches
//! within 1e-4 (goldens `llama`, `llama-tied`)

mod config;

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{
    Context, Device, Embedding, Hidden, Linear, Model, ModelShape, NnError, Norm, Positions,
    Prefixes, ResidualAdd, Result, Rng, Role, Site, Sublayer, Tensor,
    ops::{self, AttentionSpec, RopeSpec, RopeTable},
};

pub use config::{LlamaConfig, Variant};

use crate::{
    ModelError,
    families::WeightSource,
    parts::{Parts, check_length, extend_mask, fresh},
};

/// A Llama model: [`crate::llama`] has its equations and shapes.
pub struct Llama {
    shape: ModelShape,
    embed_tokens: Embedding,
    layers: Vec<Arc<Block>>,
    norm: Norm,
    lm_head: Linear,
    rope: RopeTable,
    windows: Vec<Option<usize>>,
}

struct Block {
    input_layernorm: Norm,
    self_attn: Attention,
    attn_residual: ResidualAdd,
    post_attention_layernorm: Norm,
    mlp: FeedForward,
    mlp_residual: ResidualAdd,
}

struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
}

struct FeedForward {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// The inputs that all blocks of one forward pass share.
#[derive(Clone)]
struct Pass {
    cx: Context,
    prefixes: Prefixes,
    rope: RopeTable,
    positions: Positions,
    spec: AttentionSpec,
}

impl Model for Llama {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites = vec![Site::embedding(&self.embed_tokens, Role::Embedding)];
        for block in &self.layers {
            let (attention, mlp) = (&block.self_attn, &block.mlp);
            sites.push(Site::norm(&block.input_layernorm));
            sites.extend(
                [&attention.q_proj, &attention.k_proj, &attention.v_proj, &attention.o_proj]
                    .map(Site::linear),
            );
            sites.extend(
                [&attention.q_norm, &attention.k_norm].into_iter().flatten().map(Site::norm),
            );
            sites.push(Site::norm(&block.post_attention_layernorm));
            sites.extend([&mlp.gate_proj, &mlp.up_proj, &mlp.down_proj].map(Site::linear));
        }
        sites.push(Site::norm(&self.norm));
        if !self.shape.tied {
            sites.push(Site::linear(&self.lm_head));
        }
        sites
    }

    fn tied_head(&self) -> Option<&Linear> {
        self.shape.tied.then_some(&self.lm_head)
    }

    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        self.layers.iter().flat_map(|block| [&block.attn_residual, &block.mlp_residual]).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.embed_tokens
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let prefixes = Prefixes::of(&self.embed_tokens, cx)?;
        let positions = cx.positions(prefixes.len());
        let (mut x, virtual_tokens) = self.embed_tokens.forward_with_prompt(ids, cx)?; // (B, P+T, C)
        check_length(ids, prefixes.len(), x.dim(1)?, self.rope.positions(), cx)?;
        let mask =
            mask.map(|mask| prefixes.mask(&extend_mask(mask, virtual_tokens)?)).transpose()?; // (B, P+T)
        let spec = self.attention_spec(mask, cx.offset() + prefixes.len(), cx);
        let mut pass = Pass { cx: cx.clone(), prefixes, rope: self.rope.clone(), positions, spec };
        for (index, block) in self.layers.iter().enumerate() {
            pass.spec.window = self.windows.get(index).copied().flatten();
            let (block, pass) = (block.clone(), pass.clone());
            x = cx.run_block(&x, move |x| block.forward(x, index, &pass))?;
        }
        Ok(Hidden { states: self.norm.forward(&x)?, virtual_tokens })
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        self.lm_head.forward(states, cx) // (.., V)
    }

    fn label_loss(
        &self,
        states: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        self.lm_head.cross_entropy(states, labels, normalizer, cx)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["q_proj", "v_proj"]
    }
}

impl Block {
    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let attn_output = self.self_attn.forward(&self.input_layernorm.forward(x)?, index, pass)?;
        let x = self.attn_residual.add(&attn_output, x, None, &pass.cx)?;
        let mlp_output = self.mlp.forward(&self.post_attention_layernorm.forward(&x)?, &pass.cx)?;
        self.mlp_residual.add(&mlp_output, &x, None, &pass.cx)
    }
}

impl Attention {
    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let Pass { cx, prefixes, rope, positions, spec } = pass;
        let q = norm_heads(self.q_norm.as_ref(), self.q_proj.forward(x, cx)?, spec.heads)?; // (B, T, H*D)
        let k = norm_heads(self.k_norm.as_ref(), self.k_proj.forward(x, cx)?, spec.kv_heads)?; // (B, T, K*D)
        let v = self.v_proj.forward(x, cx)?; // (B, T, K*D)
        let q = ops::rope(&q, rope, positions.clone(), spec.heads)?; // (B, T, H*D)
        let k = ops::rope(&k, rope, positions.clone(), spec.kv_heads)?; // (B, T, K*D)
        let (k, v) = prefixes.prepend(index, k, v)?; // with a prefix (B, P+T, K*D)
        let (k, v) = match &cx.cache {
            Some(cache) => cache.append(index, &k, &v)?, // (B, offset + T, K*D)
            None => (k, v),
        };
        self.o_proj.forward(&ops::attention(&q, &k, &v, spec)?, cx) // (B, T, C)
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor, cx: &Context) -> Result<Tensor> {
        let gate = self.gate_proj.forward(x, cx)?; // (B, T, F)
        let up = self.up_proj.forward(x, cx)?; // (B, T, F)
        self.down_proj.forward(&ops::swiglu(&gate, &up)?, cx) // (B, T, C)
    }
}

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
    ) -> std::result::Result<Self, ModelError> {
        let mut parts = Parts::new(source);
        let embed_tokens =
            parts.embedding("model.embed_tokens", [config.vocab_size, config.hidden_size])?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| block(&mut parts, config, index))
            .collect::<std::result::Result<_, _>>()?;
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
    pub fn random(
        config: &LlamaConfig,
        seed: u64,
        device: &Device,
    ) -> std::result::Result<Self, ModelError> {
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
    ) -> std::result::Result<Self, ModelError> {
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

    fn attention_spec(&self, mask: Option<Tensor>, offset: usize, cx: &Context) -> AttentionSpec {
        let ModelShape { heads, kv_heads, head_dim, .. } = self.shape;
        let scale = 1.0 / (head_dim as f32).sqrt();
        AttentionSpec {
            heads,
            kv_heads,
            causal: true,
            mask,
            offset,
            scale,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        }
    }
}

/// Builds one block.
fn block(
    parts: &mut Parts<'_, '_>,
    config: &LlamaConfig,
    index: usize,
) -> std::result::Result<Arc<Block>, ModelError> {
    let hidden = config.hidden_size;
    let ffn = config.intermediate_size;
    let head = config.head_dim;
    let eps = config.rms_norm_eps;
    let queries = config.num_attention_heads * head;
    let keys = config.num_key_value_heads * head;
    let at = |name: &str| format!("model.layers.{index}.{name}");
    let (qkv_bias, output_bias) = config.attention_biases();
    let mlp_bias = config.mlp_bias;
    let head_norm = |parts: &mut Parts<'_, '_>, name: &str| {
        config.variant.qk_norm.then(|| parts.rms_norm(&at(name), head, eps)).transpose()
    };
    Ok(Arc::new(Block {
        input_layernorm: parts.rms_norm(&at("input_layernorm"), hidden, eps)?,
        self_attn: Attention {
            q_proj: parts.linear(
                &at("self_attn.q_proj"),
                Role::Query,
                [queries, hidden],
                qkv_bias,
            )?,
            k_proj: parts.linear(&at("self_attn.k_proj"), Role::Key, [keys, hidden], qkv_bias)?,
            v_proj: parts.linear(&at("self_attn.v_proj"), Role::Value, [keys, hidden], qkv_bias)?,
            o_proj: parts.linear(
                &at("self_attn.o_proj"),
                Role::Output,
                [hidden, queries],
                output_bias,
            )?,
            q_norm: head_norm(parts, "self_attn.q_norm")?,
            k_norm: head_norm(parts, "self_attn.k_norm")?,
        },
        attn_residual: ResidualAdd::new(at("attention_adapters"), Sublayer::Attention, index),
        post_attention_layernorm: parts.rms_norm(&at("post_attention_layernorm"), hidden, eps)?,
        mlp: FeedForward {
            gate_proj: parts.linear(&at("mlp.gate_proj"), Role::Gate, [ffn, hidden], mlp_bias)?,
            up_proj: parts.linear(&at("mlp.up_proj"), Role::Up, [ffn, hidden], mlp_bias)?,
            down_proj: parts.linear(&at("mlp.down_proj"), Role::Down, [hidden, ffn], mlp_bias)?,
        },
        mlp_residual: ResidualAdd::new(at("output_adapters"), Sublayer::FeedForward, index),
    }))
}

/// Normalizes each head separately, if there is a norm.
fn norm_heads(norm: Option<&Norm>, x: Tensor, heads: usize) -> Result<Tensor> {
    let Some(norm) = norm else { return Ok(x) };
    let (batch, tokens, width) = x.dims3()?;
    let split = x.reshape((batch, tokens, heads, width / heads))?; // (B, T, H, D)
    Ok(norm.forward(&split)?.reshape((batch, tokens, width))?) // (B, T, H*D)
}

#[cfg(test)]
pub(crate) mod tests;
