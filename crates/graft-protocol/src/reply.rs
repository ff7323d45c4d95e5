//! What a command answers: blocks that the renderer draws one below the other.

use serde::{Deserialize, Serialize};

use crate::{Chart, HeatMap, Level, Table};

/// The answer to a command that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What to draw.
    pub blocks: Vec<Block>,
}

/// One block of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A line that stands out.
    Note(Level, String),
    /// A table.
    Table(Table),
    /// A chart.
    Chart(Chart),
    /// Matrices next to each other, as one figure.
    Heat(Vec<HeatMap>),
    /// Text the model wrote after a prompt.
    Generated {
        /// The prompt.
        prompt: String,
        /// What followed.
        text: String,
        /// The same in pieces, as those of [`SideText`].
        pieces: Vec<(String, f64)>,
    },
    /// Two or more texts side by side: the base model and the adapter.
    SideBySide {
        /// The prompt they share.
        prompt: String,
        /// The texts, left to right.
        columns: Vec<SideText>,
    },
    /// Indented lines with a note each: the module tree.
    Tree(Vec<TreeLine>),
}

/// One text of [`Block::SideBySide`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideText {
    /// What it is: `base`, the adapter's name.
    pub title: String,
    /// The text.
    pub text: String,
    /// The same text in pieces, each with its natural log-probability, which is shown as shading; empty where nothing is known of it.
    pub pieces: Vec<(String, f64)>,
    /// Small print: tokens, log-probability.
    pub note: String,
}

/// One line of [`Block::Tree`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeLine {
    /// Depth from 0.
    pub depth: usize,
    /// Name of the module.
    pub name: String,
    /// Kind, shape, adapter.
    pub note: String,
    /// Whether it stands out (it carries an adapter).
    pub strong: bool,
}

impl Reply {
    /// An answer of one block.
    pub fn one(block: Block) -> Self {
        Self { blocks: vec![block] }
    }

    /// An answer of one paragraph.
    pub fn text(text: impl Into<String>) -> Self {
        Self::one(Block::Text(text.into()))
    }
}
