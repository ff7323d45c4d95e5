//! The GPT-2 family: decoders of pre-norm blocks with learned positions and a GELU feed-forward
//! network.
//!
//! ```text
//! x = wte(ids) + wpe(positions)               # soft prompts in front: T becomes P+T
//! for each block:
//!     x = x + c_proj(attention(q, k, v))      q, k, v = split(c_attn(ln_1(x)))
//!     x = x + c_proj(gelu(c_fc(ln_2(x))))
//! logits = wte(ln_f(x))ᵀ
//! ```
//! Model files store the weights as (d_in, d_out), because GPT-2's linear layers are `Conv1D`: HF
//! PEFT's `fan_in_fan_out`.
//!
//! # Shapes
//! B batch, T tokens, P virtual tokens, C hidden size, H heads, D head width, F feed-forward size,
//! V vocabulary size.
//!
//! `ids, mask: (B, T)` -> hidden states `(B, P+T, C)` -> logits `(B, P+T, V)`
//!
//! # Source
//! Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; transformers'
//! `modeling_gpt2.py`, which it matches within 1e-4 (goldens `gpt2`)

mod build;
mod config;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Hidden, Linear, Model, ModelShape, Norm, Prefixes, ResidualAdd, Result,
    Role, Site, Tensor,
    ops::{self, AttentionSpec, Gelu},
};

pub use config::Gpt2Config;

use crate::parts::{check_length, decoder_sites, extend_mask, positions};

/// A GPT-2 model: [`crate::gpt2`] has its equations and shapes.
pub struct Gpt2 {
    shape: ModelShape,
    wte: Embedding,
    wpe: Embedding,
    h: Vec<Arc<Block>>,
    ln_f: Norm,
    lm_head: Linear,
    gelu: Gelu,
    by_layer: bool,
}

struct Block {
    ln_1: Norm,
    attn: Attention,
    attn_residual: ResidualAdd,
    ln_2: Norm,
    mlp: FeedForward,
    mlp_residual: ResidualAdd,
}

struct Attention {
    c_attn: Linear,
    c_proj: Linear,
}

struct FeedForward {
    c_fc: Linear,
    c_proj: Linear,
}

/// The inputs of one block in addition to the hidden states.
struct Pass {
    cx: Context,
    prefixes: Prefixes,
    spec: AttentionSpec,
}

impl Model for Gpt2 {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let embeddings = vec![
            Site::embedding(&self.wte, Role::Embedding),
            Site::embedding(&self.wpe, Role::Position),
        ];
        let blocks = self.h.iter().map(|block| block.sites());
        decoder_sites(embeddings, blocks, &self.ln_f, (!self.shape.tied).then_some(&self.lm_head))
    }

    fn tied_head(&self) -> Option<&Linear> {
        self.shape.tied.then_some(&self.lm_head)
    }

    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        self.h.iter().flat_map(|block| [&block.attn_residual, &block.mlp_residual]).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.wte
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let prefixes = Prefixes::of(&self.wte, cx)?;
        let offset = cx.offset() + prefixes.len();
        let (tokens, virtual_tokens) = self.wte.forward_with_prompt(ids, cx)?; // (B, P+T, C)
        let length = tokens.dim(1)?;
        check_length(ids, prefixes.len(), length, self.shape.max_positions, cx)?;
        let mut x =
            tokens.broadcast_add(&positions(&self.wpe, &cx.positions(prefixes.len()), length)?)?; // (B, P+T, C)
        let mask =
            mask.map(|mask| prefixes.mask(&extend_mask(mask, virtual_tokens)?)).transpose()?; // (B, P+T)
        for (index, block) in self.h.iter().enumerate() {
            let pass = Pass {
                cx: cx.clone(),
                prefixes: prefixes.clone(),
                spec: self.attention_spec(index, mask.clone(), offset, cx),
            };
            let block = block.clone();
            let gelu = self.gelu;
            x = cx.run_block(&x, move |x| block.forward(x, index, &pass, gelu))?;
        }
        Ok(Hidden { states: self.ln_f.forward(&x)?, virtual_tokens })
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
        &["c_attn"]
    }
}

impl Block {
    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites = vec![Site::norm(&self.ln_1)];
        sites.extend([&self.attn.c_attn, &self.attn.c_proj].map(Site::linear));
        sites.push(Site::norm(&self.ln_2));
        sites.extend([&self.mlp.c_fc, &self.mlp.c_proj].map(Site::linear));
        sites
    }

    fn forward(&self, x: &Tensor, index: usize, pass: &Pass, gelu: Gelu) -> Result<Tensor> {
        let attn_output = self.attn.forward(&self.ln_1.forward(x)?, index, pass)?;
        let x = self.attn_residual.add(&attn_output, x, None, &pass.cx)?;
        let mlp_output = self.mlp.forward(&self.ln_2.forward(&x)?, gelu, &pass.cx)?;
        self.mlp_residual.add(&mlp_output, &x, None, &pass.cx)
    }
}

impl Attention {
    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let Pass { cx, prefixes, spec } = pass;
        let width = self.c_proj.d_in();
        let qkv = self.c_attn.forward(x, cx)?; // (B, T, 3C)
        let [q, k, v] = [0, 1, 2].map(|part| qkv.narrow(2, part * width, width)); // (B, T, C) each
        let (k, v) = prefixes.prepend(index, k?.contiguous()?, v?.contiguous()?)?; // with a prefix (B, P+T, C)
        let (k, v) = match &cx.cache {
            Some(cache) => cache.append(index, &k, &v)?, // (B, offset + T, C)
            None => (k, v),
        };
        self.c_proj.forward(&ops::attention(&q?.contiguous()?, &k, &v, spec)?, cx) // (B, T, C)
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor, gelu: Gelu, cx: &Context) -> Result<Tensor> {
        let activated = ops::gelu(&self.c_fc.forward(x, cx)?, gelu)?; // (B, T, F)
        self.c_proj.forward(&activated, cx) // (B, T, C)
    }
}

impl Gpt2 {
    fn attention_spec(
        &self,
        index: usize,
        mask: Option<Tensor>,
        offset: usize,
        cx: &Context,
    ) -> AttentionSpec {
        let ModelShape { heads, kv_heads, head_dim, .. } = self.shape;
        let depth = if self.by_layer { index as f32 + 1.0 } else { 1.0 };
        AttentionSpec {
            heads,
            kv_heads,
            causal: true,
            mask,
            offset,
            scale: 1.0 / ((head_dim as f32).sqrt() * depth),
            softcap: None,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
