//! `%jobs`, `%stop`, `%watch`.

use graft_protocol::Command;

use crate::{
    cell::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const RUN: &[Slot] = &[Slot::optional(
    "RUN",
    SlotKind::Run,
    "name of the run; default: the background run, else the latest one",
)];

/// The definition of `%jobs`.
pub(super) fn jobs() -> VerbSpec {
    VerbSpec {
        name: "jobs",
        aliases: &[],
        summary: "list background jobs, running and finished",
        help: "`%train bg=true` starts one: the cell returns at once and the notebook stays usable. One job trains at a time.",
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
        summary: "stop the background run at its next step",
        help: "Model, adapter and curve are kept; %resume continues the run. To stop a running cell, use the stop button.",
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
        summary: "show the live plot of a run, from its ledger",
        help: "Plots everything recorded so far, even if the page was closed in the meantime, and keeps updating while the run trains in the background. The stop button ends the plot, not the run.",
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
