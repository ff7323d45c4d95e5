//! `%run`.

use crate::{
    part::{HostCommand, PartKind},
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const FILE: &[Slot] = &[Slot::required("FILE", SlotKind::Path, "a file of magics and Rust")];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "run",
        aliases: &[],
        summary: "run a file of magics and Rust as if it were typed in the cell",
        help: "In a terminal, `graft run FILE` does the same.",
        forms: vec![
            Form::bare("", "run a file", |line, _| {
                Ok(PartKind::Host(HostCommand::Run(line.joined())))
            })
            .slots(FILE),
        ],
        cell: None,
        examples: vec!["%run recipe.graft".into()],
    }
}
