//! The T5 family, also T5 1.1, FLAN-T5 and mT5: an encoder and a decoder of pre-norm blocks whose
//! attention is biased by the distance of the tokens instead of position embeddings.
//!
//! ```text
//! x = shared(ids)                              # soft prompts in front: S becomes P+S
//! for each block of the encoder:
//!     x = x + o(attention(q(n), k(n), v(n)) + bias)      with n = layer_norm(x)
//!     x = x + wo(relu(wi(n)))                            or wo(gelu(wi_0(n)) * wi_1(n))
//! e = final_layer_norm(x)
//! y = shared(decoder_ids)
//! for each block of the decoder:
//!     y = y + o(causal attention(q(n), k(n), v(n)) + bias)
//!     y = y + o(attention(q(n), k(e), v(e)))
//!     y = y + wo(..)
//! logits = lm_head(final_layer_norm(y))        # times 1/sqrt(C) before the head if it scales
//! ```
//! The norms are RMSNorms. Scores are not scaled. `bias` is the row of the bucket of the distance
//! in `relative_attention_bias`, which the first block of each stack has for all of them.
//!
//! # Shapes
//! B batch, S tokens of the encoder, T of the decoder, P virtual tokens, C hidden size, H heads, D
//! head width, F feed-forward size, V vocabulary size.
//!
//! `ids: (B, S)` -> e `(B, P+S, C)`; `decoder_ids: (B, T)` -> hidden states `(B, T, C)` -> logits
//! `(B, T, V)`
//!
//! # Source
//! Raffel et al. 2020, arXiv:1910.10683; Shazeer 2020, arXiv:2002.05202 (gates); transformers'
//! `modeling_t5.py`, which it matches within 1e-4 (goldens `t5`)

mod build;
mod config;
mod relative_positions;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Encoded, EncoderDecoder, Hidden, Linear, Model, ModelShape, Norm, Prefixes,
    ResidualAdd, Result, Role, Sequences, Site, Task, Tensor,
    ops::{self, AttentionSpec},
};

pub use config::{Activation, T5Config};
use relative_positions::RelativePositions;

use crate::parts::{check_length, extend_mask};

/// A T5 model: [`crate::t5`] has its equations and shapes.
pub struct T5 {
    shape: ModelShape,
    shared: Embedding,
    encoder: Stack,
    decoder: Stack,
    lm_head: Linear,
    /// Factor on the hidden states in front of the head.
    head_scale: f64,
    start_token: u32,
    activation: Activation,
}

/// The encoder or the decoder.
struct Stack {
    relative_attention_bias: Embedding,
    relative_positions: RelativePositions,
    blocks: Vec<Arc<Block>>,
    final_layer_norm: Norm,
}

struct Block {
    self_attention: Attention,
    /// Only in a decoder.
    cross_attention: Option<Attention>,
    feed_forward: FeedForward,
}

struct Attention {
    layer_norm: Norm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    residual: ResidualAdd,
}

struct FeedForward {
    layer_norm: Norm,
    /// `wi`, or `wi_0` and `wi_1`: the first one is activated.
    wi: Vec<Linear>,
    wo: Linear,
    residual: ResidualAdd,
}

/// The inputs that all blocks of one stack share.
#[derive(Clone)]
struct Pass {
    cx: Context,
    prefixes: Prefixes,
    /// (H, T, S)
    bias: Tensor,
    spec: AttentionSpec,
    encoded: Option<Encoded>,
    activation: Activation,
}

impl Model for T5 {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn task(&self) -> Task {
        Task::Seq2SeqLm
    }

    fn encoder_decoder(&self) -> Option<&dyn EncoderDecoder> {
        Some(self)
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites = vec![Site::embedding(&self.shared, Role::Embedding)];
        sites.extend([&self.encoder, &self.decoder].into_iter().flat_map(Stack::sites));
        sites.extend((!self.shape.tied).then(|| Site::linear(&self.lm_head)));
        sites
    }

    fn tied_head(&self) -> Option<&Linear> {
        self.shape.tied.then_some(&self.lm_head)
    }

    fn tied_modules(&self) -> Vec<&str> {
        let embeddings = ["encoder.embed_tokens", "decoder.embed_tokens"];
        embeddings.into_iter().chain(self.tied_head().map(Linear::path)).collect()
    }

    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        let blocks = self.encoder.blocks.iter().chain(&self.decoder.blocks);
        blocks.flat_map(|block| block.residual_adds()).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.shared
    }

    /// The decoder. Without encoded texts in the context, `ids` are both texts: the encoder reads
    /// them, and the decoder predicts each of them from those before it.
    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        match &cx.encoded {
            Some(encoded) => self.decode(ids, mask, encoded, cx),
            None => {
                let encoded = self.encode(ids, mask, cx)?;
                self.decode(&self.shifted(ids, cx)?, None, &encoded, cx)
            }
        }
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        self.lm_head.forward(&self.scaled(states)?, cx) // (.., V)
    }

    fn label_loss(
        &self,
        states: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        self.lm_head.cross_entropy(&self.scaled(states)?, labels, normalizer, cx)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["q", "v"]
    }
}

impl EncoderDecoder for T5 {
    fn start_token(&self) -> u32 {
        self.start_token
    }

    fn encode(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Encoded> {
        let (x, virtual_tokens) = self.shared.with_prompt(self.words(ids)?, cx)?; // (B, P+S, C)
        let tokens = x.dim(1)?;
        check_length(ids, 0, tokens, usize::MAX, cx)?;
        let mask = mask.map(|mask| extend_mask(mask, virtual_tokens)).transpose()?; // (B, P+S)
        let pass = Pass {
            prefixes: Prefixes::none(),
            bias: self.encoder.bias(longest(cx, tokens), longest(cx, tokens), 0)?,
            spec: self.attention_spec(mask.clone(), 0, cx),
            // The cache belongs to the decoder.
            cx: Context { cache: None, ..cx.clone() },
            encoded: None,
            activation: self.activation,
        };
        Ok(Encoded::new(self.encoder.forward(x, &pass)?, mask))
    }
}

impl T5 {
    /// The hidden states (B, T, C) of the decoder.
    fn decode(
        &self,
        ids: &Tensor,
        mask: Option<&Tensor>,
        encoded: &Encoded,
        cx: &Context,
    ) -> Result<Hidden> {
        let prefixes = Prefixes::of(&self.shared, cx)?;
        let x = self.words(ids)?; // (B, T, C)
        check_length(ids, prefixes.len(), x.dim(1)?, usize::MAX, cx)?;
        let offset = cx.offset() + prefixes.len();
        let tokens = longest(cx, x.dim(1)?);
        let mask = mask.map(|mask| prefixes.mask(mask)).transpose()?; // (B, P+T)
        let pass = Pass {
            prefixes,
            bias: self.decoder.bias(tokens, offset + tokens, offset)?,
            spec: AttentionSpec { causal: true, ..self.attention_spec(mask, offset, cx) },
            cx: cx.clone(),
            encoded: Some(encoded.clone()),
            activation: self.activation,
        };
        Ok(Hidden { states: self.decoder.forward(x, &pass)?, virtual_tokens: 0 })
    }

    /// The vectors of tokens, (B, T) -> (B, T, C). An adapter of `shared` has no effect and a
    /// gradient of zeros, as in HF PEFT, where both stacks read copies of the embedding.
    fn words(&self, ids: &Tensor) -> Result<Tensor> {
        let words = self.shared.base_forward(ids)?; // (B, T, C)
        if self.shared.slot().active_names().is_empty() {
            return Ok(words);
        }
        let change = (self.shared.forward(ids)? - &words)?; // (B, T, C)
        // candle gives no gradient to the factors of the number 0, but to those of a tensor.
        Ok((words + (&change * change.zeros_like()?)?)?)
    }

    /// The inputs of the decoder that predict `ids`: each row, or each packed text, after the start
    /// token and without its last token.
    fn shifted(&self, ids: &Tensor, cx: &Context) -> Result<Tensor> {
        let mut rows = ids.to_vec2::<u32>()?;
        for row in &mut rows {
            row.rotate_right(1);
            let length = row.len();
            let starts: Vec<usize> = match &cx.sequences {
                Some(sequences) => sequences.ranges().map(|range| range.start).collect(),
                None => vec![0],
            };
            starts
                .into_iter()
                .filter(|start| *start < length)
                .for_each(|start| row[start] = self.start_token);
        }
        Ok(Tensor::new(rows, ids.device())?) // (B, T)
    }

    fn scaled(&self, states: &Tensor) -> Result<Tensor> {
        if self.head_scale == 1.0 { Ok(states.clone()) } else { Ok((states * self.head_scale)?) }
    }

    fn attention_spec(&self, mask: Option<Tensor>, offset: usize, cx: &Context) -> AttentionSpec {
        let ModelShape { heads, kv_heads, .. } = self.shape;
        AttentionSpec {
            heads,
            kv_heads,
            causal: false,
            mask,
            offset,
            scale: 1.0,
            softcap: None,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        }
    }
}

/// Tokens of the longest packed text, or of each row.
fn longest(cx: &Context, tokens: usize) -> usize {
    cx.sequences.as_ref().map_or(tokens, Sequences::longest)
}

impl Stack {
    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            for attention in std::iter::once(&block.self_attention).chain(&block.cross_attention) {
                let Attention { layer_norm, q, k, v, o, .. } = attention;
                sites.extend([q, k, v, o].map(Site::linear));
                if index == 0 && std::ptr::eq(attention, &block.self_attention) {
                    sites.push(Site::embedding(&self.relative_attention_bias, Role::Position));
                }
                sites.push(Site::norm(layer_norm));
            }
            let FeedForward { layer_norm, wi, wo, .. } = &block.feed_forward;
            sites.extend(wi.iter().chain([wo]).map(Site::linear));
            sites.push(Site::norm(layer_norm));
        }
        sites.push(Site::norm(&self.final_layer_norm));
        sites
    }

    /// The bias of attention between the last `tokens` of `keys` positions, the first of them at
    /// `offset`, and all of them: (H, T, S).
    fn bias(&self, tokens: usize, keys: usize, offset: usize) -> Result<Tensor> {
        let table = &self.relative_attention_bias;
        let device = table.weight().base_value().device().clone();
        let buckets = self.relative_positions.buckets(tokens, keys, offset);
        let bias = table.forward(&Tensor::from_vec(buckets, (tokens, keys), &device)?)?; // (T, S, H)
        Ok(bias.permute((2, 0, 1))?.contiguous()?) // (H, T, S)
    }

    fn forward(&self, mut x: Tensor, pass: &Pass) -> Result<Tensor> {
        for (index, block) in self.blocks.iter().enumerate() {
            let block = block.clone();
            let inner = pass.clone();
            x = match &pass.encoded {
                None => pass.cx.run_block(&x, move |x| block.forward(x, None, index, &inner))?,
                Some(encoded) => {
                    let run = move |x: &Tensor, states: &Tensor| {
                        block.forward(x, Some(states), index, &inner)
                    };
                    pass.cx.run_block_with(&x, &encoded.states, run)?
                }
            };
        }
        self.final_layer_norm.forward(&x)
    }
}

impl Block {
    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        // AdapterHub's configurations leave out the attention to the encoded text.
        vec![&self.self_attention.residual, &self.feed_forward.residual]
    }

    fn forward(
        &self,
        x: &Tensor,
        encoded: Option<&Tensor>,
        index: usize,
        pass: &Pass,
    ) -> Result<Tensor> {
        let x = self.self_attention.to_itself(x, index, pass)?;
        let x = match (&self.cross_attention, encoded) {
            (Some(attention), Some(states)) => attention.to_encoded(&x, states, index, pass)?,
            _ => x,
        };
        self.feed_forward.forward(&x, pass)
    }
}

impl Attention {
    /// Attention among the tokens of one stack.
    fn to_itself(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let Pass { cx, prefixes, bias, spec, .. } = pass;
        let normed = self.layer_norm.forward(x)?; // (B, T, C)
        let q = self.q.forward(&normed, cx)?; // (B, T, H*D)
        let k = self.k.forward(&normed, cx)?; // (B, T, H*D)
        let v = self.v.forward(&normed, cx)?; // (B, T, H*D)
        let (k, v) = prefixes.prepend(index, k, v)?; // with a prefix (B, P+T, H*D)
        let (k, v) = match &cx.cache {
            Some(cache) => cache.append(index, &k, &v)?, // (B, offset + T, H*D)
            None => (k, v),
        };
        let output = self.o.forward(&ops::biased_attention(&q, &k, &v, bias, spec)?, cx)?; // (B, T, C)
        self.residual.add(&output, x, None, cx)
    }

    /// Attention of a decoder to the encoded texts, whose hidden states are `states`.
    fn to_encoded(&self, x: &Tensor, states: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let Pass { cx, spec, encoded, .. } = pass;
        let Some(encoded) = encoded else { return Ok(x.clone()) };
        let q = self.q.forward(&self.layer_norm.forward(x)?, cx)?; // (B, T, H*D)
        let keys_values = || Ok((self.k.forward(states, cx)?, self.v.forward(states, cx)?)); // (B, S, H*D) twice
        let (k, v) = encoded.keys_values(index, cx, keys_values)?;
        let mask = encoded.mask.clone();
        let spec = AttentionSpec { causal: false, mask, offset: 0, ..spec.clone() };
        let output = self.o.forward(&ops::attention(&q, &k, &v, &spec)?, cx)?; // (B, T, C)
        self.residual.add(&output, x, None, cx)
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let cx = &pass.cx;
        let normed = self.layer_norm.forward(x)?; // (B, T, C)
        let inner: Vec<Tensor> =
            self.wi.iter().map(|wi| wi.forward(&normed, cx)).collect::<Result<_>>()?; // (B, T, F)
        let activated = pass.activation.apply(&inner)?; // (B, T, F)
        self.residual.add(&self.wo.forward(&activated, cx)?, x, None, cx) // (B, T, C)
    }
}

#[cfg(test)]
mod tests;
