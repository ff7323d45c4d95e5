//! What decoder families share: the pass from tokens over the blocks to logits.
//!
//! ```text
//! x = m embed(ids)                            # soft prompts in front: T becomes P+T
//! for each block:
//!     x = block(x)
//! logits = softcap(lm_head(norm(x)) / s)
//! classes = score(norm(x))[last token]        # with a classification head
//! ```
//! A family defines its block (`DecoderBlock`), and its differences from Llama in a
//! [`Variant`](crate::llama::Variant); most set `m = s = 1` and no bound of the logits.
//!
//! # Shapes
//! B batch, T tokens, P virtual tokens, C hidden size, V vocabulary size.
//!
//! `ids, mask: (B, T)` -> hidden states `(B, P+T, C)` -> logits `(B, P+T, V)` or `(B, labels)`

pub(crate) mod attention;
mod build;
pub(crate) mod feed_forward;
mod layout;

use std::sync::Arc;

use graft_nn::{
    Context, Embedding, Hidden, LabelNames, Linear, Model, ModelShape, Norm, Positions, Prefixes,
    ResidualAdd, Result, Role, Site, Task, Tensor, ops,
};

use crate::parts::{check_length, decoder_sites, extend_mask};
pub use attention::QkNorm;
pub(crate) use build::{residual_adds, weights};
pub use feed_forward::Gate;
pub use layout::Layout;

/// A decoder; [`crate::decoder`] has its equations and shapes.
pub struct Decoder {
    shape: ModelShape,
    embed_tokens: Embedding,
    /// Factor `m` on the vectors of tokens and soft prompts.
    embedding_multiplier: f64,
    layers: Vec<Arc<dyn DecoderBlock>>,
    norm: Norm,
    head: Head,
    default_targets: &'static [&'static str],
}

/// The last layer, with what is done to its output.
struct Head {
    linear: Linear,
    /// Divisor `s` of the logits.
    divisor: f64,
    /// Bound of the logits.
    softcap: Option<f32>,
    /// A head that classifies texts.
    classes: Option<Classes>,
}

/// The classes of a classification head.
struct Classes {
    names: LabelNames,
    /// The token that fills rows up.
    padding: Option<u32>,
}

/// One block of a decoder.
pub(crate) trait DecoderBlock: Send + Sync {
    /// The layers in the order of the forward pass.
    fn sites(&self) -> Vec<Site<'_>>;

    /// The residual additions after attention and after the feed-forward part.
    fn residual_adds(&self) -> [&ResidualAdd; 2];

    /// The output for `x`, (B, T, C) -> (B, T, C).
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor>;
}

/// The inputs that all blocks of one forward pass share.
#[derive(Clone)]
pub(crate) struct Pass {
    pub(crate) cx: Context,
    pub(crate) prefixes: Prefixes,
    pub(crate) positions: Positions,
    /// Padding, (B, P+T).
    pub(crate) mask: Option<Tensor>,
}

impl Model for Decoder {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn task(&self) -> Task {
        let labels = self.head.linear.d_out();
        self.head
            .classes
            .as_ref()
            .map_or(Task::CausalLm, |_| Task::SequenceClassification { labels })
    }

    fn label_names(&self) -> Option<&LabelNames> {
        self.head.classes.as_ref().map(|classes| &classes.names)
    }

    fn sites(&self) -> Vec<Site<'_>> {
        decoder_sites(
            vec![Site::embedding(&self.embed_tokens, Role::Embedding)],
            self.layers.iter().map(|block| block.sites()),
            &self.norm,
            (!self.shape.tied).then_some(&self.head.linear),
        )
    }

    fn tied_head(&self) -> Option<&Linear> {
        self.shape.tied.then_some(&self.head.linear)
    }

    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        self.layers.iter().flat_map(|block| block.residual_adds()).collect()
    }

    fn embedding(&self) -> &Embedding {
        &self.embed_tokens
    }

    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden> {
        let prefixes = Prefixes::of(&self.embed_tokens, cx)?;
        let positions = cx.positions(prefixes.len());
        let (x, virtual_tokens) = self.embed_tokens.forward_with_prompt(ids, cx)?; // (B, P+T, C)
        check_length(ids, prefixes.len(), x.dim(1)?, self.shape.max_positions, cx)?;
        let mut x = times(x, self.embedding_multiplier)?;
        let mask =
            mask.map(|mask| prefixes.mask(&extend_mask(mask, virtual_tokens)?)).transpose()?; // (B, P+T)
        let pass = Pass { cx: cx.clone(), prefixes, positions, mask };
        for block in &self.layers {
            let (block, pass) = (block.clone(), pass.clone());
            x = cx.run_block(&x, move |x| block.forward(x, &pass))?;
        }
        Ok(Hidden { states: self.norm.forward(&x)?, virtual_tokens })
    }

    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor> {
        let Head { linear, divisor, softcap, .. } = &self.head;
        let logits = times(linear.forward(states, cx)?, 1.0 / divisor)?; // (.., V)
        match softcap {
            Some(cap) => ops::softcap(&logits, *cap),
            None => Ok(logits),
        }
    }

    fn label_loss(
        &self,
        states: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        let Head { linear, divisor, softcap, .. } = &self.head;
        // The head has no bias, so dividing its input divides the logits.
        let states = times(states.clone(), 1.0 / divisor)?;
        linear.softcapped_cross_entropy(&states, labels, (normalizer, *softcap), cx)
    }

    fn class_logits(&self, states: &Tensor, last: &[usize], cx: &Context) -> Result<Tensor> {
        let places = last.iter().map(|place| *place as u32).collect();
        let places = Tensor::from_vec(places, last.len(), states.device())?;
        self.head(&states.flatten(0, 1)?.index_select(&places, 0)?, cx) // (B, labels)
    }

    /// As transformers, a classifier reads the last token that is not padding, or the last position
    /// if there are virtual tokens.
    fn logits(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Tensor> {
        let Hidden { states, virtual_tokens } = self.hidden(ids, mask, cx)?;
        let Some(classes) = &self.head.classes else { return self.head(&states, cx) };
        let length = states.dim(1)?;
        let rows = ids.to_vec2::<u32>()?;
        let end = |row: &Vec<u32>| match classes.padding.filter(|_| virtual_tokens == 0) {
            Some(padding) => row.iter().rposition(|id| *id != padding).unwrap_or(0),
            None => length - 1,
        };
        let last: Vec<_> =
            rows.iter().enumerate().map(|(index, row)| index * length + end(row)).collect();
        self.class_logits(&states, &last, cx)
    }

    fn default_targets(&self) -> &'static [&'static str] {
        self.default_targets
    }
}

/// `factor x`, without an operation for a factor of 1.
pub(crate) fn times(x: Tensor, factor: f64) -> Result<Tensor> {
    if factor == 1.0 { Ok(x) } else { Ok((x * factor)?) }
}

#[cfg(test)]
mod tests;
