//! Blocks for a terminal. Bright black is not used, because dark themes show it as black on black.

use graft_protocol::{Block, Level};

use crate::{block::plain, generated, side_by_side, table, tokens, tree, visible::Visible};

/// Whether text contains escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Without escape sequences.
    Plain,
    /// With colors and bold text.
    Ansi,
}

impl Paint {
    /// Bold, for highlighted text.
    pub(crate) fn strong(self, text: &str) -> String {
        self.wrap(text, "1")
    }

    /// Green, for additions.
    pub(crate) fn fresh(self, text: &str) -> String {
        self.wrap(text, "32")
    }

    /// Cyan, for hints.
    pub(crate) fn hint(self, text: &str) -> String {
        self.wrap(text, "36")
    }

    /// Yellow, for warnings.
    pub(crate) fn warning(self, text: &str) -> String {
        self.wrap(text, "33")
    }

    /// Red and bold, for errors.
    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap(text, "1;31")
    }

    fn wrap(self, text: &str, code: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi if text.is_empty() => String::new(),
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// Draws one block in color, at most `width` columns wide.
pub fn ansi(block: &Block, width: usize) -> String {
    let width = width.max(20);
    match &block.shown() {
        Block::Text(text) => text.clone(),
        Block::Note(Level::Info, text) => Paint::Ansi.hint(text),
        Block::Note(Level::Warning, text) => Paint::Ansi.warning(&format!("warning: {text}")),
        Block::Table(table) => table::aligned(table, Paint::Ansi, width),
        Block::Generated { prompt, text, .. } => generated::painted(prompt, text, Paint::Ansi),
        Block::SideBySide { prompt, columns } => {
            side_by_side::aligned(prompt, columns, width, Paint::Ansi)
        }
        Block::Tree(lines) => tree::painted(lines, Paint::Ansi),
        Block::Tokens(list) => tokens::painted(list, width, Paint::Ansi),
        picture @ (Block::Chart(_) | Block::Heat(_)) => plain(picture),
    }
}
