//! `%who` and `%reset`.

use graft_spec::{KeyKind, KeySpec};

use crate::{
    cell::{HostCommand, PartKind},
    verb::{Form, VerbSpec},
};

/// IPython's habit `-f` is accepted: nothing is asked either way.
const FORCE: &[KeySpec] = &[KeySpec {
    name: "force",
    aliases: &["f"],
    kind: KeyKind::Bool,
    default: "true",
    help: "accepted for compatibility; the magic never asks for confirmation",
}];

/// The definition of `%who`.
pub(super) fn who() -> VerbSpec {
    VerbSpec {
        name: "who",
        aliases: &["whos", "vars"],
        summary: "the Rust variables with their types",
        help: "",
        forms: vec![Form::bare("", "the variables", |_, _| Ok(PartKind::Host(HostCommand::Who)))],
        cell: None,
        examples: vec!["%who".into()],
    }
}

/// The definition of `%reset`.
pub(super) fn reset() -> VerbSpec {
    VerbSpec {
        name: "reset",
        aliases: &[],
        summary: "reset the session: removes variables, model and adapters",
        help: "Runs and saved adapters stay on disk.",
        forms: vec![
            Form::bare("", "start afresh", |_, _| Ok(PartKind::Host(HostCommand::Reset)))
                .keys(FORCE),
        ],
        cell: None,
        examples: vec!["%reset".into()],
    }
}
