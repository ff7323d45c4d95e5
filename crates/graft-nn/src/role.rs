//! The function of a layer in its model.

use std::fmt;

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
