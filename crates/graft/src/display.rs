//! Values that can be shown below a cell.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use graft_protocol::{Block, Event, MimeBundle};

use crate::Lab;
pub use mime::{Html, Json, Latex, Markdown, Mime, Png, Svg, VegaLite};

mod mime;

/// A value that [`Lab::display`] can show.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown by `lab().display`",
    note = "tensors, tables, charts, generated texts, `Html`, `Svg`, `Png`, `Markdown`, `Latex`, `Json`, `VegaLite` and `Mime` can; `println!` shows anything with `Display`"
)]
pub trait Show {
    /// The content to show.
    fn shown(&self) -> Shown;
}

/// The content of a value that implements [`Show`].
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// A block that the host draws in the style of the magics.
    Block(Block),
    /// Content by MIME type; binary content as base64.
    Mime(BTreeMap<String, String>),
}

/// A display whose content can be replaced.
#[derive(Clone, Debug)]
pub struct DisplayHandle {
    lab: Lab,
    id: String,
}

impl DisplayHandle {
    pub(crate) fn open(lab: &Lab, shown: Shown) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("graft-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let handle = Self { lab: lab.clone(), id };
        handle.send(shown, false);
        handle
    }

    /// The `display_id` of the Jupyter protocol.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Replaces the content by another value of any kind, also from a later cell.
    pub fn update<T: Show + ?Sized>(&self, item: &T) {
        self.send(item.shown(), true);
    }

    fn send(&self, shown: Shown, update: bool) {
        let display_id = self.id.clone();
        self.lab.emit(match shown {
            Shown::Mime(data) => {
                Event::Display(MimeBundle { data, display_id: Some(display_id), update })
            }
            Shown::Block(block) => Event::Named { block, display_id, update },
        });
    }

    /// Shows nothing: as the last expression of a cell, a handle already has its display above.
    pub fn evcxr_display(&self) {}
}
