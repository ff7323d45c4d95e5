//! `%jobs`, `%stop`, `%watch`.

use graft_protocol::Command;

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const RUN: &[Slot] = &[Slot::optional(
    "RUN",
    SlotKind::Run,
    "name of the run; without it the one in the background, or the last one",
)];

/// Defines `%jobs`.
pub(super) fn jobs() -> VerbSpec {
    VerbSpec {
        name: "jobs",
        aliases: &[],
        summary: "list the background jobs, running and finished",
        help: "`%train bg=true` starts one: its cell returns at once, and other cells can be executed. One job runs at a time.",
        forms: vec![Form::bare("", "list the jobs", |_, _| Ok(PartKind::Session(Command::Jobs)))],
        cell: None,
        examples: vec!["%jobs".into()],
    }
}

/// Defines `%stop`.
pub(super) fn stop() -> VerbSpec {
    VerbSpec {
        name: "stop",
        aliases: &[],
        summary: "stop the background job at its next step",
        help: "Model, adapter and curve are kept, and %resume continues the run. The stop button stops a running cell.",
        forms: vec![Form::bare("", "stop the job", |_, _| Ok(PartKind::Session(Command::Stop)))],
        cell: None,
        examples: vec!["%stop".into()],
    }
}

/// Defines `%watch`.
pub(super) fn watch() -> VerbSpec {
    VerbSpec {
        name: "watch",
        aliases: &[],
        summary: "show the live curve of a run",
        help: "Shows the whole curve from the ledger of the run, also after the page was closed, \
            and updates it while the run is trained in the background. The stop button ends the \
            display, not the run.",
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
