//! A block as a bundle of MIME types.

use graft_protocol::{Block, Level, Reply};
use maud::{Markup, html};

use crate::{
    checks, confusion, figure, generated, heat, side_by_side, table, text_chart, tokens, tree,
    visible::Visible,
};

/// One output in every form that applies to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// `text/html`.
    pub html: Option<String>,
    /// `text/plain`.
    pub plain: String,
    /// `image/svg+xml`.
    pub svg: Option<String>,
    /// `image/png`, at twice the size of [`crate::FIGURE_SIZE`].
    pub png: Option<Vec<u8>>,
}

/// Draws one block.
pub fn block(block: &Block) -> Bundle {
    draw(&block.shown())
}

/// Draws a block whose texts have been made safe to show.
fn draw(block: &Block) -> Bundle {
    match block {
        Block::Chart(chart) => Bundle {
            html: None,
            plain: text_chart::plain(chart),
            svg: Some(figure::svg(chart)),
            png: Some(figure::png(chart)),
        },
        Block::Heat(maps) => {
            Bundle { plain: heat::plain(maps), png: Some(heat::png(maps)), ..Bundle::default() }
        }
        other => Bundle {
            html: Some(markup(other).into_string()),
            plain: plain(other),
            ..Bundle::default()
        },
    }
}

/// Draws an answer. Consecutive blocks of text and tables become one output; each chart is an
/// output of its own.
pub fn reply(reply: &Reply) -> Vec<Bundle> {
    let mut bundles: Vec<Bundle> = Vec::new();
    for drawn in reply.blocks.iter().map(block) {
        match (bundles.last_mut(), &drawn.html) {
            (Some(Bundle { html: Some(before), plain, .. }), Some(more)) => {
                before.push_str(more);
                plain.push_str("\n\n");
                plain.push_str(&drawn.plain);
            }
            _ => bundles.push(drawn),
        }
    }
    bundles
}

/// Returns the plain text of a block whose texts have been made safe to show.
pub(crate) fn plain(block: &Block) -> String {
    match block {
        Block::Text(text) => text.clone(),
        Block::Note(Level::Info, text) => text.clone(),
        Block::Note(Level::Warning, text) => format!("warning: {text}"),
        Block::Table(shown) => table::plain(shown),
        Block::Chart(chart) => text_chart::plain(chart),
        Block::Heat(maps) => heat::plain(maps),
        Block::Generated { prompt, text, .. } => generated::plain(prompt, text),
        Block::SideBySide { prompt, columns } => side_by_side::plain(prompt, columns, 100),
        Block::Tree(lines) => tree::plain(lines),
        Block::Checks(results) => checks::plain(results),
        Block::Tokens(list) => tokens::plain(list),
        Block::Confusion(matrix) => confusion::plain(matrix),
    }
}

fn markup(block: &Block) -> Markup {
    match block {
        Block::Text(text) => paragraph(text),
        Block::Note(level, text) => note(*level, text),
        Block::Table(shown) => table::html(shown),
        Block::Generated { prompt, text, pieces } => generated::html(prompt, text, pieces),
        Block::SideBySide { prompt, columns } => side_by_side::html(prompt, columns),
        Block::Tree(lines) => tree::html(lines),
        Block::Checks(results) => checks::html(results),
        Block::Tokens(list) => tokens::html(list),
        Block::Confusion(matrix) => confusion::html(matrix),
        Block::Chart(_) | Block::Heat(_) => html! {},
    }
}

/// A paragraph that keeps its line breaks and runs of spaces.
fn paragraph(text: &str) -> Markup {
    html! { div style="white-space:pre-wrap;margin:2px 0 6px" { (text) } }
}

fn note(level: Level, text: &str) -> Markup {
    let (color, sign) = match level {
        Level::Info => ("#2b8fd0", ""),
        Level::Warning => ("#e0691a", "warning: "),
    };
    html! { div style={ "white-space:pre-wrap;margin:4px 0;padding:2px 10px;border-left:3px solid " (color) } { strong { (sign) } (text) } }
}

#[cfg(test)]
mod tests;
