//! `%class`.

use graft_protocol::{ClassAction, Command};
use graft_spec::{Failure, training};

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const NAME: &[Slot] = &[Slot::optional_rest(
    "NAME",
    SlotKind::Text,
    "your name, which is also the name of your file in the folder; without it the login name",
)];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "class",
        aliases: &[],
        summary: "share results with a class: `join` writes yours, `%class` shows everyone's",
        help: "After `join`, the result of each run and of each %eval is appended to your own file \
            in a shared folder, which GRAFT_CLASS or folder= names. %class shows a table and a \
            plot of accuracy against trained parameters with one point per student; `watch` \
            updates them until you press the stop button. If the folder cannot be reached, \
            training continues, and the results are written when it is back.",
        forms: vec![
            Form::bare("", "show the result of every student, once", |line, _| {
                command(ClassAction::Show { settings: line.settings.clone() })
            })
            .keys(training::CLASS_VIEW),
            Form::bare("watch", "show them and update them until the stop button", |line, _| {
                command(ClassAction::Watch { settings: line.settings.clone() })
            })
            .keys(training::CLASS_VIEW),
            Form::bare("live", "the same as `watch`", |line, _| {
                command(ClassAction::Watch { settings: line.settings.clone() })
            })
            .keys(training::CLASS_VIEW),
            Form::bare("join", "write your results to the folder of the class", |line, _| {
                let name = line.joined();
                command(ClassAction::Join {
                    name: (!name.is_empty()).then_some(name),
                    settings: line.settings.clone(),
                })
            })
            .slots(NAME)
            .keys(training::CLASS_JOIN),
            Form::bare("leave", "stop writing results; your file remains", |_, _| {
                command(ClassAction::Leave)
            }),
        ],
        cell: None,
        examples: vec![
            "%class join ada exercise=\"LoRA rank\"".into(),
            "%class join \"Ada Lovelace\" folder=/srv/class exercise=2".into(),
            "%class".into(),
            "%class watch exercise=2 names=false".into(),
            "%class leave".into(),
        ],
    }
}

fn command(action: ClassAction) -> Result<PartKind, Failure> {
    Ok(PartKind::Session(Command::Class { action }))
}
