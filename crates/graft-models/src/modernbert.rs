//! The ModernBERT family: bidirectional encoders of pre-norm blocks with rotary positions and
//! attention that alternates between the whole text and a window.
//!
//! ```text
//! x = norm(tok_embeddings(ids))               # soft prompts in front: T becomes P+T
//! for each block:
//!     q, k, v = Wqkv(attn_norm(x))            # the first block has no attn_norm
//!     x = x + Wo(attention(rope(q), rope(k), v))
//!     a, b = Wi(mlp_norm(x))
//!     x = x + Wo(gelu(a) * b)
//! x = final_norm(x)
//! logits = classifier(head.norm(gelu(head.dense(pool(x)))))
//! ```
//! A global block rotates with the base `global_rope_theta` and sees all tokens. A local block
//! rotates with `local_rope_theta` and sees `local_attention / 2` tokens to either side. `pool` is
//! the first token (`cls`) or the mean over the text (`mean`).
//!
//! # Shapes
//! B batch, T tokens, P virtual tokens, C hidden size, H heads, D head width, F feed-forward size.
//!
//! `ids, mask: (B, T)` -> hidden states `(B, P+T, C)` -> logits `(B, labels)`
//!
//! # Source
//! Warner et al. 2024, arXiv:2412.13663; transformers' `modeling_modernbert.py`, which it matches
//! within 1e-4 (goldens `modernbert`)

mod build;
mod config;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Hidden, LabelNames, Linear, Model, ModelShape, NnError, Norm, Positions,
    Prefixes, ResidualAdd, Result, Role, Site, Task, Tensor,
    ops::{self, AttentionSpec, Gelu, RopeTable},
};

pub use config::{ModernBertConfig, Pooling};

use crate::parts::{check_length, extend_mask, first_tokens, mean_tokens, split};

/// A ModernBERT model: [`crate::modernbert`] has its equations and shapes.
pub struct ModernBert {
    shape: ModelShape,
    tok_embeddings: Embedding,
    norm: Norm,
    layers: Vec<Arc<Block>>,
    final_norm: Norm,
    head: Option<ClassificationHead>,
    label_names: LabelNames,
    gelu: Gelu,
    global: Reach,
    local: Reach,
}

/// The positions and the window of a kind of block.
#[derive(Clone)]
struct Reach {
    rope: RopeTable,
    window: Option<usize>,
}

struct Block {
    attn_norm: Option<Norm>,
    qkv: Linear,
    attn_output: Linear,
    attn_residual: ResidualAdd,
    mlp_norm: Norm,
    wi: Linear,
    wo: Linear,
    mlp_residual: ResidualAdd,
    is_global: bool,
}

struct ClassificationHead {
    pooling: Pooling,
    dense: Linear,
    gelu: Gelu,
    norm: Norm,
    classifier: Linear,
}

/// The inputs that all blocks of one forward pass share.
#[derive(Clone)]
struct Pass {
    cx: Context,
    prefixes: Prefixes,
    positions: Positions,
    reach: Reach,
    spec: AttentionSpec,
    gelu: Gelu,
}

impl Model for ModernBert {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn task(&self) -> Task {
        self.head.as_ref().map_or(Task::FeatureExtraction, |head| Task::SequenceClassification {
            labels: head.classifier.d_out(),
        })
    }

    fn label_names(&self) -> Option<&LabelNames> {
        self.head.as_ref().map(|_| &self.label_names)
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let mut sites =
            vec![Site::embedding(&self.tok_embeddings, Role::Embedding), Site::norm(&self.norm)];
        for block in &self.layers {
            sites.extend(block.attn_norm.as_ref().map(Site::norm));
            sites.extend([&block.qkv, &block.attn_output].map(Site::linear));
            sites.push(Site::norm(&block.mlp_norm));
            sites.extend([&block.wi, &block.wo].map(Site::linear));
        }
        sites.push(Site::norm(&self.final_norm));
        if let Some(head) = &self.head {
            sites.extend([Site::linear(&head.dense), Site::norm(&head.norm)]);
            sites.push(Site::linear(&head.classifier));
        }
        sites
    }

    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        self.layers.iter().flat_map(|block| [&block.attn_residual, &block.mlp_residual]).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.tok_embeddings
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let prefixes = Prefixes::of(&self.tok_embeddings, cx)?;
        let (words, virtual_tokens) = self.tok_embeddings.forward_with_prompt(ids, cx)?; // (B, P+T, C)
        check_length(ids, prefixes.len(), words.dim(1)?, self.shape.max_positions, cx)?;
        let mask =
            mask.map(|mask| prefixes.mask(&extend_mask(mask, virtual_tokens)?)).transpose()?; // (B, P+T)
        let mut pass = Pass {
            positions: cx.positions(prefixes.len()),
            spec: self.attention_spec(mask, prefixes.len(), cx),
            cx: cx.clone(),
            prefixes,
            reach: self.global.clone(),
            gelu: self.gelu,
        };
        let mut x = self.norm.forward(&words)?; // (B, P+T, C)
        for (index, block) in self.layers.iter().enumerate() {
            pass.reach = if block.is_global { &self.global } else { &self.local }.clone();
            pass.spec.window = pass.reach.window;
            let block = block.clone();
            let pass = pass.clone();
            x = cx.run_block(&x, move |x| block.forward(x, index, &pass))?;
        }
        Ok(Hidden { states: self.final_norm.forward(&x)?, virtual_tokens })
    }

    /// The logits of texts without padding; [`Model::class_logits`] and [`Model::logits`] also
    /// leave padding out of a mean.
    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        let head = self.classification_head()?;
        let pooled = match head.pooling {
            Pooling::First => first_tokens(states, cx)?,
            Pooling::Mean => mean_tokens(states, &whole_texts(states, cx)?)?,
        }; // (B, C)
        head.forward(&pooled, cx)
    }

    fn class_logits(&self, states: &Tensor, last: &[usize], cx: &Context) -> Result<Tensor> {
        let head = self.classification_head()?;
        if head.pooling == Pooling::First {
            return self.head(states, cx);
        }
        let texts = whole_texts(states, cx)?;
        let ends = texts.iter().zip(last);
        let texts: Vec<_> =
            ends.map(|(text, last)| text[0]..*last + 1).map(Vec::from_iter).collect();
        head.forward(&mean_tokens(states, &texts)?, cx) // (B, labels)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["Wqkv"]
    }

    fn logits(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Tensor> {
        let hidden = self.hidden(ids, mask, cx)?;
        let states = &hidden.states;
        let head = self.classification_head()?;
        let Some(mask) = mask.filter(|_| head.pooling == Pooling::Mean) else {
            return self.head(states, cx);
        };
        let seen = extend_mask(mask, hidden.virtual_tokens)?.to_vec2::<u8>()?; // (B, P+T)
        let columns = states.dim(1)?;
        let tokens = |(row, seen): (usize, &Vec<u8>)| -> Vec<usize> {
            let tokens = seen.iter().enumerate().filter(|(_, seen)| **seen != 0);
            tokens.map(|(column, _)| row * columns + column).collect()
        };
        let texts: Vec<_> = seen.iter().enumerate().map(tokens).collect();
        head.forward(&mean_tokens(states, &texts)?, cx) // (B, labels)
    }
}

impl ModernBert {
    fn attention_spec(&self, mask: Option<Tensor>, offset: usize, cx: &Context) -> AttentionSpec {
        let ModelShape { heads, kv_heads, head_dim, .. } = self.shape;
        AttentionSpec {
            heads,
            kv_heads,
            causal: false,
            mask,
            offset,
            scale: 1.0 / (head_dim as f32).sqrt(),
            softcap: None,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        }
    }

    fn classification_head(&self) -> Result<&ClassificationHead> {
        self.head.as_ref().ok_or_else(|| NnError::NoHead { family: self.shape.family.clone() })
    }
}

impl Block {
    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let Pass { cx, prefixes, positions, reach, spec, gelu } = pass;
        let normed = self.attn_norm.as_ref().map_or(Ok(x.clone()), |norm| norm.forward(x))?;
        let width = spec.heads * (self.qkv.d_out() / 3 / spec.heads);
        let [q, k, v] = split(&self.qkv.forward(&normed, cx)?, [width; 3])?; // (B, T, H*D) each
        let q = ops::rope(&q, &reach.rope, positions.clone(), spec.heads)?; // (B, T, H*D)
        let k = ops::rope(&k, &reach.rope, positions.clone(), spec.kv_heads)?; // (B, T, H*D)
        let (k, v) = prefixes.prepend(index, k, v)?; // with a prefix (B, P+T, H*D)
        let attn_output = self.attn_output.forward(&ops::attention(&q, &k, &v, spec)?, cx)?; // (B, T, C)
        let x = self.attn_residual.add(&attn_output, x, None, cx)?;
        let wide = self.wo.d_in();
        let [a, b] = split(&self.wi.forward(&self.mlp_norm.forward(&x)?, cx)?, [wide; 2])?; // (B, T, F) each
        let gated = (ops::gelu(&a, *gelu)? * b)?; // (B, T, F)
        self.mlp_residual.add(&self.wo.forward(&gated, cx)?, &x, None, cx) // (B, T, C)
    }
}

impl ClassificationHead {
    /// (B, C) -> (B, labels)
    fn forward(&self, pooled: &Tensor, cx: &Context) -> Result<Tensor> {
        let hidden = ops::gelu(&self.dense.forward(pooled, cx)?, self.gelu)?; // (B, C)
        self.classifier.forward(&self.norm.forward(&hidden)?, cx) // (B, labels)
    }
}

/// The places of each text's positions in the flattened states.
fn whole_texts(states: &Tensor, cx: &Context) -> Result<Vec<Vec<usize>>> {
    let (rows, columns, _) = states.dims3()?;
    Ok(match &cx.sequences {
        Some(sequences) => sequences.ranges().map(Vec::from_iter).collect(),
        None => (0..rows).map(|row| (row * columns..(row + 1) * columns).collect()).collect(),
    })
}

#[cfg(test)]
mod tests;
