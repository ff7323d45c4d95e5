//! The places of a model to which adapters attach.

use std::fmt;
use std::sync::Arc;

use crate::{Embedding, Linear, Model, Norm, Parameter};

/// What a layer is for, whatever its family calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Query projection of attention.
    Query,
    /// Key projection of attention.
    Key,
    /// Value projection of attention.
    Value,
    /// The three of them in one map, one behind the other.
    QueryKeyValue,
    /// Output projection of attention.
    Output,
    /// Gate of a gated feed-forward block.
    Gate,
    /// First map of a feed-forward block.
    Up,
    /// Last map of a feed-forward block.
    Down,
    /// The first position's hidden state to that of the whole text.
    Pooler,
    /// Hidden states to logits.
    Head,
    /// Tokens to vectors.
    Embedding,
    /// Places in the text to vectors.
    Position,
    /// First or second text to vectors.
    TokenType,
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
            Self::QueryKeyValue => "query_key_value",
            Self::Output => "output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
            Self::Pooler => "pooler",
            Self::Head => "head",
            Self::Embedding => "embedding",
            Self::Position => "position",
            Self::TokenType => "token_type",
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
    Norm(&'a Norm),
}

impl<'a> Layer<'a> {
    /// Its weights: the weight, then the bias where it has one.
    pub fn parameters(self) -> Vec<&'a Parameter> {
        match self {
            Self::Linear(linear) => std::iter::once(linear.weight()).chain(linear.bias()).collect(),
            Self::Embedding(embedding) => vec![embedding.weight()],
            Self::Norm(norm) => std::iter::once(norm.weight()).chain(norm.bias()).collect(),
        }
    }

    /// The same as shared handles, for who must find them again without the model.
    pub fn shared_parameters(self) -> Vec<Arc<Parameter>> {
        match self {
            Self::Linear(linear) => {
                std::iter::once(linear.shared_weight()).chain(linear.shared_bias()).collect()
            }
            Self::Embedding(embedding) => vec![embedding.shared_weight()],
            Self::Norm(norm) => {
                std::iter::once(norm.shared_weight()).chain(norm.shared_bias()).collect()
            }
        }
    }
}

/// The linear layers of a model that may be packed: all but the head, which decides between tokens that lie close together, as in bitsandbytes.
pub fn packable(model: &dyn Model) -> Vec<&Linear> {
    let sites = model.sites().into_iter().filter(|site| site.role != Role::Head);
    sites
        .filter_map(|site| if let Layer::Linear(linear) = site.layer { Some(linear) } else { None })
        .collect()
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

impl<'a> Site<'a> {
    /// The site of a linear map.
    pub fn linear(linear: &'a Linear) -> Self {
        Self { path: linear.path(), role: linear.role(), layer: Layer::Linear(linear) }
    }

    /// The site of a norm.
    pub fn norm(norm: &'a Norm) -> Self {
        Self { path: norm.path(), role: Role::Norm, layer: Layer::Norm(norm) }
    }

    /// The site of a table of vectors: of tokens, of positions or of token types.
    pub fn embedding(embedding: &'a Embedding, role: Role) -> Self {
        Self { path: embedding.path(), role, layer: Layer::Embedding(embedding) }
    }
}
