//! The function of a layer in its model.

use std::fmt;

/// The function of a layer, independent of its name in the model family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Query projection of attention.
    Query,
    /// Key projection of attention.
    Key,
    /// Value projection of attention.
    Value,
    /// Query, key and value projections concatenated in one layer.
    QueryKeyValue,
    /// Output projection of attention.
    Output,
    /// Gate of a gated feed-forward block.
    Gate,
    /// First linear layer of a feed-forward block.
    Up,
    /// Last linear layer of a feed-forward block.
    Down,
    /// Maps the hidden state of the first position to that of the whole text.
    Pooler,
    /// Maps hidden states to logits.
    Head,
    /// Token embedding.
    Embedding,
    /// Position embedding.
    Position,
    /// Token type embedding: first or second text.
    TokenType,
    /// A normalization layer.
    Norm,
}

impl Role {
    /// The name of the role in tables, such as `query` or `ffn_down`.
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
