//! Rendered output: graft-render's bundles, blocks, progress and failures as the [`Rich`] and
//! [`CellError`] that a [`Frontend`](crate::Frontend) displays.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graft_protocol::{Block, Chart, Level, Reply};
use graft_render::{Bundle, Progress};
use graft_spec::Failure;

use crate::{CellError, Rich, RichSource};

impl From<Bundle> for Rich {
    fn from(bundle: Bundle) -> Self {
        let mut mime = BTreeMap::from([("text/plain".to_owned(), bundle.plain)]);
        let rest = [
            ("text/html", bundle.html),
            ("image/svg+xml", bundle.svg),
            ("image/png", bundle.png.map(|png| STANDARD.encode(png))),
        ];
        mime.extend(
            rest.into_iter().filter_map(|(name, content)| Some((name.to_owned(), content?))),
        );
        Self { mime, ..Self::default() }
    }
}

impl Rich {
    /// Renders one block.
    #[must_use]
    pub fn from_block(block: &Block) -> Self {
        Self {
            source: RichSource::Blocks(vec![block.clone()]),
            ..graft_render::block(block).into()
        }
    }

    /// Renders several blocks as one display, from top to bottom.
    #[must_use]
    pub fn from_blocks(blocks: &[Block]) -> Self {
        let reply = Reply { blocks: blocks.to_vec() };
        let drawn = graft_render::reply(&reply);
        let plain: Vec<String> = drawn.iter().map(|bundle| bundle.plain.clone()).collect();
        let html: String = drawn.into_iter().filter_map(|bundle| bundle.html).collect();
        let bundle = Bundle { plain: plain.join("\n\n"), html: Some(html), ..Bundle::default() };
        Self { source: RichSource::Blocks(reply.blocks), ..bundle.into() }
    }

    /// Renders the progress of a command.
    #[must_use]
    pub fn from_progress(progress: &Progress) -> Self {
        let bundle =
            Bundle { plain: progress.line(), html: Some(progress.html()), ..Bundle::default() };
        Self { source: RichSource::Progress(progress.clone()), ..bundle.into() }
    }

    /// Renders the live plot of one training run.
    #[must_use]
    pub fn from_run(chart: &Chart, progress: &Progress) -> Self {
        let bundle = Bundle {
            plain: progress.line(),
            html: Some(graft_render::live_html(chart, progress)),
            ..Bundle::default()
        };
        Self { source: RichSource::Progress(progress.clone()), live: true, ..bundle.into() }
    }

    /// Renders the progress of a comparison together with its live table and curves.
    #[must_use]
    pub fn from_live_table(progress: &Progress, live_blocks: &[Block]) -> Self {
        let html = |block: &Block| match block {
            Block::Chart(chart) => graft_render::live_html(chart, progress),
            other => graft_render::block(other).html.unwrap_or_default(),
        };
        let bundle = Bundle {
            plain: progress.line(),
            html: Some(live_blocks.iter().map(html).collect()),
            ..Bundle::default()
        };
        Self { source: RichSource::Progress(progress.clone()), live: true, ..bundle.into() }
    }

    /// Renders a short note.
    #[must_use]
    pub fn note(text: &str) -> Self {
        Self::from_block(&Block::Note(Level::Info, text.to_owned()))
    }

    /// Renders Rust source as a highlighted block.
    #[must_use]
    pub fn rust_code(source: &str) -> Self {
        let mut rich = Self::plain(source);
        rich.mime.insert(
            "text/markdown".to_owned(),
            format!("```rust\n{}\n```", graft_render::visible(source.trim_end())),
        );
        rich
    }
}

impl CellError {
    /// An error without a source location; control characters are shown as symbols.
    #[must_use]
    pub fn new(ename: &str, evalue: &str) -> Self {
        let evalue = graft_render::visible(evalue).into_owned();
        Self { ename: ename.to_owned(), traceback: vec![format!("{ename}: {evalue}")], evalue }
    }

    /// Renders a failure, with a caret under the offending token of `cell`.
    #[must_use]
    pub fn from_failure(failure: &Failure, cell: &str) -> Self {
        let traceback = graft_render::failure_traceback(failure, cell);
        // An interrupt has one name, whichever part of Graft noticed it.
        let ename = if failure.code.ends_with("::interrupted") {
            "Interrupted".to_owned()
        } else {
            traceback.ename
        };
        Self { ename, evalue: traceback.evalue, traceback: traceback.lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIPBOARD: &str = "\u{1b}]52;c;eHg=\u{7}\u{202e}";

    #[test]
    fn plain_texts_and_rust_code_show_control_characters_as_symbols() {
        for rich in [Rich::plain(CLIPBOARD), Rich::rust_code(CLIPBOARD)] {
            assert!(
                rich.mime
                    .values()
                    .all(|text| text.contains("␛]52;c;eHg=␇\\u{202e}") && !text.contains('\u{1b}')),
                "{rich:?}"
            );
        }
    }

    #[test]
    fn a_failure_shows_the_control_characters_of_message_and_cell() {
        let failure = Failure::new("data::malformed", CLIPBOARD)
            .hint(CLIPBOARD)
            .span(graft_spec::Span { line: 0, start: 6, end: 7 });
        let shown = CellError::from_failure(&failure, &format!("%data {CLIPBOARD}"));
        let texts: Vec<&str> =
            shown.traceback.iter().chain([&shown.evalue]).map(String::as_str).collect();
        assert!(
            texts
                .iter()
                .all(|text| !text.contains(['\u{7}', '\u{202e}']) && !text.contains("\u{1b}]")),
            "{texts:?}"
        );
    }
}
