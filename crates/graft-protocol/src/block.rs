//! The blocks of answers and events, as data; graft-render draws them.

use serde::{Deserialize, Serialize};

use crate::{Chart, CheckResult, ConfusionMatrix, HeatMap, Table, TokenList};

/// One block of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A highlighted line.
    Note(Level, String),
    /// A table.
    Table(Table),
    /// A chart.
    Chart(Chart),
    /// Matrices next to each other, as one figure.
    Heat(Vec<HeatMap>),
    /// Text that the model generated from a prompt.
    Generated {
        /// The prompt.
        prompt: String,
        /// The continuation.
        text: String,
        /// The continuation in pieces, as in [`SideText`].
        pieces: Vec<(String, f64)>,
    },
    /// Two or more texts side by side: the base model and the adapter.
    SideBySide {
        /// The prompt they share.
        prompt: String,
        /// The texts, left to right.
        columns: Vec<SideText>,
    },
    /// Indented lines, each with a note: the module tree.
    Tree(Vec<TreeLine>),
    /// Results of `%check`, in green or red.
    Checks(Vec<CheckResult>),
    /// The tokens of an example.
    Tokens(TokenList),
    /// A confusion matrix.
    Confusion(ConfusionMatrix),
}

/// One text of [`Block::SideBySide`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideText {
    /// Title: `base`, or the name of the adapter.
    pub title: String,
    /// The text.
    pub text: String,
    /// The text in pieces, each with its natural log-probability, which is shown as shading; empty
    /// if the probabilities are unknown.
    pub pieces: Vec<(String, f64)>,
    /// Text in small print: number of tokens, log-probability.
    pub note: String,
}

/// One line of [`Block::Tree`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeLine {
    /// Depth from 0.
    pub depth: usize,
    /// Name of the module.
    pub name: String,
    /// Kind and shape of the module, and its adapter.
    pub note: String,
    /// Whether the line is highlighted because the module has an adapter.
    pub strong: bool,
}

/// Severity of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Information.
    Info,
    /// A problem that needs the reader's attention.
    Warning,
}
