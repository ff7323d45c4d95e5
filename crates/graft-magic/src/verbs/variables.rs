//! `%who` and `%reset`.

use graft_spec::{KeyKind, KeySpec};

use crate::{
    part::{HostCommand, PartKind},
    verb::{Form, VerbSpec},
};

/// IPython's `-f`. It has no effect, because `%reset` never asks.
const FORCE: &[KeySpec] = &[KeySpec {
    name: "force",
    aliases: &["f"],
    kind: KeyKind::Bool,
    default: "true",
    help: "no effect: %reset never asks for confirmation",
}];

/// Defines `%who`.
pub(super) fn who() -> VerbSpec {
    VerbSpec {
        name: "who",
        aliases: &["whos", "vars"],
        summary: "list the Rust variables with their types",
        help: "",
        forms: vec![Form::bare("", "list the variables", |_, _| {
            Ok(PartKind::Host(HostCommand::Who))
        })],
        cell: None,
        examples: vec!["%who".into()],
    }
}

/// Defines `%reset`.
pub(super) fn reset() -> VerbSpec {
    VerbSpec {
        name: "reset",
        aliases: &[],
        summary: "start a new session without variables, model and adapters",
        help: "Runs and saved adapters stay on disk.",
        forms: vec![
            Form::bare("", "start a new session", |_, _| Ok(PartKind::Host(HostCommand::Reset)))
                .keys(FORCE),
        ],
        cell: None,
        examples: vec!["%reset".into()],
    }
}
