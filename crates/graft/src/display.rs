//! What can be shown below a cell.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use graft_protocol::{Block, MimeBundle};

use crate::Lab;

/// Something that [`Lab::display`] can show.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown by `lab().display`",
    note = "tables, charts, generated texts, `Html`, `Svg`, `Png` and `Markdown` can; `println!` shows anything with `Display`"
)]
pub trait Show {
    /// What to show.
    fn shown(&self) -> Shown;
}

/// What [`Show`] gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// A block that the host draws like those of the magics.
    Block(Block),
    /// MIME type to content, binary as base64.
    Mime(BTreeMap<String, String>),
}

/// HTML to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Html(pub String);

/// An SVG drawing to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Svg(pub String);

/// Markdown to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markdown(pub String);

/// A PNG image to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Png(pub Vec<u8>);

/// A display that can be replaced in place.
#[derive(Clone, Debug)]
pub struct DisplayHandle {
    lab: Lab,
    id: String,
}

impl Show for Html {
    fn shown(&self) -> Shown {
        mime("text/html", self.0.clone(), "HTML")
    }
}

impl Show for Svg {
    fn shown(&self) -> Shown {
        mime("image/svg+xml", self.0.clone(), "SVG drawing")
    }
}

impl Show for Markdown {
    fn shown(&self) -> Shown {
        mime("text/markdown", self.0.clone(), &self.0)
    }
}

impl Show for Png {
    fn shown(&self) -> Shown {
        mime("image/png", STANDARD.encode(&self.0), "PNG image")
    }
}

/// Every display has a plain twin, for terminals.
fn mime(kind: &str, content: String, plain: &str) -> Shown {
    Shown::Mime(BTreeMap::from([(kind.to_owned(), content), ("text/plain".to_owned(), plain.to_owned())]))
}

impl DisplayHandle {
    pub(crate) fn open(lab: &Lab, item: &dyn Show) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("graft-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let handle = Self { lab: lab.clone(), id };
        handle.send(item, false);
        handle
    }

    /// Name of the display, as Jupyter knows it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Shows something else in its place: `Html`, `Svg`, `Png` or `Markdown`.
    pub fn update<T: Show>(&self, item: &T) {
        self.send(item, true);
    }

    fn send(&self, item: &dyn Show, update: bool) {
        match item.shown() {
            Shown::Mime(data) => self.lab.send(MimeBundle { data, display_id: Some(self.id.clone()), update }),
            // The host draws blocks and gives them no name: one that takes the place of a display is shown below it.
            block @ Shown::Block(_) => self.lab.show(block),
        }
    }

    /// Nothing: as the last expression of a cell a handle prints nothing, since its display is there already.
    pub fn evcxr_display(&self) {}
}
