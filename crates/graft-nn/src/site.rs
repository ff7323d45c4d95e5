//! The places of a model to which adapters attach.

use std::fmt;

use crate::{Embedding, Linear, Parameter, RmsNorm};

/// What a layer is for, whatever its family calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Query projection of attention.
    Query,
    /// Key projection of attention.
    Key,
    /// Value projection of attention.
    Value,
    /// Output projection of attention.
    Output,
    /// Gate of a gated feed-forward block.
    Gate,
    /// First map of a feed-forward block.
    Up,
    /// Last map of a feed-forward block.
    Down,
    /// Hidden states to logits.
    Head,
    /// Tokens to vectors.
    Embedding,
    /// A normalisation.
    Norm,
}

impl Role {
    /// The role in the words of the reference: `query`, `ffn_down`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Output => "output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
            Self::Head => "head",
            Self::Embedding => "embedding",
            Self::Norm => "norm",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One layer of a model.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A linear map.
    Linear(&'a Linear),
    /// A table of vectors.
    Embedding(&'a Embedding),
    /// A normalisation.
    Norm(&'a RmsNorm),
}

impl<'a> Layer<'a> {
    /// Its weights: the weight, then the bias where it has one.
    pub fn parameters(self) -> Vec<&'a Parameter> {
        match self {
            Self::Linear(linear) => std::iter::once(linear.weight()).chain(linear.bias()).collect(),
            Self::Embedding(embedding) => vec![embedding.weight()],
            Self::Norm(norm) => vec![norm.weight()],
        }
    }
}

/// A layer with its Hugging Face path and its role.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Such as `model.layers.0.self_attn.q_proj`.
    pub path: &'a str,
    /// What it is for.
    pub role: Role,
    /// The layer.
    pub layer: Layer<'a>,
}
