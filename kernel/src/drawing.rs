//! From graft-render's bundles to what a [`crate::frontend::Frontend`] shows.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graft_protocol::{Block, Failure};
use graft_render::Bundle;

use crate::engine::RustError;
use crate::frontend::{CellError, Rich};

impl From<Bundle> for Rich {
    fn from(bundle: Bundle) -> Self {
        let mut mime = BTreeMap::from([("text/plain".to_owned(), bundle.plain)]);
        let rest = [("text/html", bundle.html), ("image/svg+xml", bundle.svg), ("image/png", bundle.png.map(|png| STANDARD.encode(png)))];
        mime.extend(rest.into_iter().filter_map(|(name, content)| Some((name.to_owned(), content?))));
        Self { mime, ansi: bundle.ansi, live: false }
    }
}

impl Rich {
    /// One block.
    pub(crate) fn from_block(block: &Block) -> Self {
        graft_render::block(block).into()
    }

    /// Several blocks as one display, one below the other.
    pub(crate) fn from_blocks(blocks: &[Block]) -> Self {
        let all: Vec<Self> = blocks.iter().map(Self::from_block).collect();
        let join = |name: &str, separator: &str| {
            let parts: Vec<&str> = all.iter().filter_map(|rich| rich.mime.get(name).map(String::as_str)).collect();
            (!parts.is_empty()).then(|| parts.join(separator))
        };
        let mut mime = BTreeMap::from([("text/plain".to_owned(), join("text/plain", "\n\n").unwrap_or_default())]);
        mime.extend(join("text/html", "\n").map(|html| ("text/html".to_owned(), html)));
        let ansi: Vec<&str> = all.iter().map(|rich| rich.ansi.as_deref().unwrap_or_else(|| rich.text())).collect();
        Self { mime, ansi: Some(ansi.join("\n\n")), live: false }
    }

    /// Rust as a highlighted block.
    pub(crate) fn rust_code(source: &str) -> Self {
        let mut rich = Self::plain(source);
        rich.mime.insert("text/markdown".to_owned(), format!("```rust\n{}\n```", source.trim_end()));
        rich
    }
}

impl CellError {
    /// A failure with its caret under the bad token of `cell`.
    pub(crate) fn from_failure(failure: &Failure, cell: &str) -> Self {
        let traceback = graft_render::failure_traceback(failure, cell);
        Self { ename: traceback.ename, evalue: traceback.evalue, traceback: traceback.lines }
    }
}

impl From<RustError> for CellError {
    fn from(error: RustError) -> Self {
        Self { ename: error.ename, evalue: error.evalue, traceback: error.traceback }
    }
}
