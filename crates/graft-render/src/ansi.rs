//! Blocks for a terminal.

use graft_protocol::{Block, Level};

use crate::{
    block::plain, checks, confusion, generated, paint::Paint, side_by_side, table, tokens, tree,
    visible::Visible,
};

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
        Block::Checks(results) => checks::painted(results, Paint::Ansi),
        Block::Tokens(list) => tokens::painted(list, width, Paint::Ansi),
        Block::Confusion(matrix) => confusion::painted(matrix, Paint::Ansi),
        picture @ (Block::Chart(_) | Block::Heat(_)) => plain(picture),
    }
}
