//! The answer to a command: blocks that are drawn one below the other.

use serde::{Deserialize, Serialize};

use crate::Block;

/// The answer to a successful command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The blocks to draw.
    pub blocks: Vec<Block>,
}

impl Reply {
    /// Creates an answer of one block.
    pub fn one(block: Block) -> Self {
        Self { blocks: vec![block] }
    }

    /// Creates an answer of one paragraph.
    pub fn text(text: impl Into<String>) -> Self {
        Self::one(Block::Text(text.into()))
    }
}
