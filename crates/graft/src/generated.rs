//! Generated text.

use std::fmt;

use graft_protocol::Block;
use graft_session::verbs::{compare, generate::DataTexts};

use crate::{Show, Shown, lab, plain};

/// A prompt and its continuation by the model.
#[derive(Clone, PartialEq)]
pub struct Generated {
    prompt: String,
    text: String,
    pieces: Vec<(String, f64)>,
    tokens: usize,
    logprob_mean: f64,
}

/// The continuations of one prompt by the base model and by the active adapter.
#[derive(Clone, PartialEq)]
pub struct Comparison {
    base: Generated,
    tuned: Generated,
    block: Block,
}

/// The continuations of the prompts of a data set.
#[derive(Clone, PartialEq)]
pub struct GeneratedTexts {
    texts: DataTexts,
}

impl GeneratedTexts {
    pub(crate) fn new(texts: DataTexts) -> Self {
        Self { texts }
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.texts.texts.len()
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.texts.texts.is_empty()
    }

    /// The generated texts, one per example.
    pub fn texts(&self) -> Vec<&str> {
        self.texts.texts.iter().map(|text| text.text.as_str()).collect()
    }

    /// The texts of the data, one per example that has one.
    pub fn expected(&self) -> Vec<&str> {
        self.texts.texts.iter().filter_map(|text| text.expected.as_deref()).collect()
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl Show for GeneratedTexts {
    fn shown(&self) -> Shown {
        let block = self.texts.reply().blocks.into_iter().next();
        Shown::Block(block.unwrap_or_else(|| Block::Text(String::new())))
    }
}

impl fmt::Display for GeneratedTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.texts.reply().blocks;
        f.write_str(&blocks.iter().map(plain::block).collect::<Vec<_>>().join("\n\n"))
    }
}

impl fmt::Debug for GeneratedTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Generated {
    pub(crate) fn new(generated: graft_models::Generated) -> Self {
        let graft_models::Generated { prompt, text, pieces, tokens, logprob_mean, .. } = generated;
        Self { prompt, text, pieces, tokens, logprob_mean }
    }

    /// The prompt.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// The continuation.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of generated tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Mean log-probability of the generated tokens, in nats per token.
    pub fn logprob_mean(&self) -> f64 {
        self.logprob_mean
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl Comparison {
    pub(crate) fn new(comparison: compare::PromptComparison) -> Self {
        let block = Block::SideBySide {
            prompt: comparison.base.prompt.clone(),
            columns: comparison.columns(),
        };
        Self {
            block,
            base: Generated::new(comparison.base),
            tuned: Generated::new(comparison.tuned),
        }
    }

    /// The continuation by the base model.
    pub fn base(&self) -> &Generated {
        &self.base
    }

    /// The continuation with the active adapter.
    pub fn tuned(&self) -> &Generated {
        &self.tuned
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl Show for Generated {
    fn shown(&self) -> Shown {
        Shown::Block(Block::Generated {
            prompt: self.prompt.clone(),
            text: self.text.clone(),
            pieces: self.pieces.clone(),
        })
    }
}

impl Show for Comparison {
    fn shown(&self) -> Shown {
        Shown::Block(self.block.clone())
    }
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prompt, self.text)
    }
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain::block(&self.block))
    }
}

impl fmt::Debug for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
