//! `%params`.

use graft_protocol::Command;

use crate::{
    cell::PartKind,
    verb::{Form, VerbSpec},
};

/// The definition.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "params",
        aliases: &["parameters"],
        summary: "trainable parameters, module by module",
        help: "Below the table stands the line that HF PEFT's print_trainable_parameters() writes.",
        forms: vec![Form::bare("", "the table", |_, _| Ok(PartKind::Session(Command::Params)))],
        cell: None,
        examples: vec!["%params".into()],
    }
}
