//! `%status`.

use graft_protocol::Command;

use crate::{
    part::PartKind,
    verb::{Form, VerbSpec},
};

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "status",
        aliases: &[],
        summary: "show model, adapters, data, runs, memory and device",
        help: "Also available while a run is being trained.",
        forms: vec![Form::bare("", "the table", |_, _| Ok(PartKind::Session(Command::Status)))],
        cell: None,
        examples: vec!["%status".into()],
    }
}
