//! `%jobs`, `%stop`, `%watch`.

use graft_protocol::Command;

use crate::{
    cell::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const RUN: &[Slot] = &[Slot::optional(
    "RUN",
    SlotKind::Run,
    "name of the run; without it the one in the background, else the last",
)];

/// The definition of `%jobs`.
pub(super) fn jobs() -> VerbSpec {
    VerbSpec {
        name: "jobs",
        aliases: &[],
        summary: "the trainings that run, or have run, in the background",
        help: "`%train bg=true` puts one there: its cell ends at once and the notebook stays free. One trains at a time.",
        forms: vec![Form::bare("", "list them", |_, _| Ok(PartKind::Session(Command::Jobs)))],
        cell: None,
        examples: vec!["%jobs".into()],
    }
}

/// The definition of `%stop`.
pub(super) fn stop() -> VerbSpec {
    VerbSpec {
        name: "stop",
        aliases: &[],
        summary: "end the training in the background at its next step",
        help: "Model, adapter and curve are kept, and %resume goes on. A cell that runs is stopped by the stop button instead.",
        forms: vec![Form::bare("", "stop it", |_, _| Ok(PartKind::Session(Command::Stop)))],
        cell: None,
        examples: vec!["%stop".into()],
    }
}

/// The definition of `%watch`.
pub(super) fn watch() -> VerbSpec {
    VerbSpec {
        name: "watch",
        aliases: &[],
        summary: "the live curve of a run, from its ledger",
        help: "Draws all that has happened so far, also when the page was closed meanwhile, and goes on drawing while the run is trained in the background.                The stop button ends the watching and not the training.",
        forms: vec![
            Form::bare("", "watch a run", |line, _| {
                Ok(PartKind::Session(Command::Watch { run: line.word(0) }))
            })
            .slots(RUN),
        ],
        cell: None,
        examples: vec!["%watch".into(), "%watch lora-003".into()],
    }
}
