//! What can be shown below a cell.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use graft_protocol::{Block, Event, MimeBundle};

use crate::Lab;
pub use mime::{Html, Json, Latex, Markdown, Mime, Png, Svg, VegaLite};

mod mime;

/// Something that [`Lab::display`] can show.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown by `lab().display`",
    note = "tensors, tables, charts, generated texts, `Html`, `Svg`, `Png`, `Markdown`, `Latex`, `Json`, `VegaLite` and `Mime` can; `println!` shows anything with `Display`"
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

/// A display that can be replaced in place.
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

    /// Name of the display, as Jupyter knows it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Shows something else in its place, of whatever kind, also from a later cell.
    pub fn update<T: Show + ?Sized>(&self, item: &T) {
        self.send(item.shown(), true);
    }

    fn send(&self, shown: Shown, update: bool) {
        let display_id = self.id.clone();
        self.lab.tell(match shown {
            Shown::Mime(data) => {
                Event::Display(MimeBundle { data, display_id: Some(display_id), update })
            }
            Shown::Block(block) => Event::Named { block, display_id, update },
        });
    }

    /// Nothing: as the last expression of a cell a handle prints nothing, since its display is there already.
    pub fn evcxr_display(&self) {}
}
