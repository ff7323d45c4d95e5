//! `%device`.

use graft_protocol::Command;

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const DEVICE: &[Slot] = &[Slot::optional(
    "DEVICE",
    SlotKind::Choice(&["cpu", "cuda"]),
    "the new device; without it the command shows the current one",
)];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "device",
        aliases: &[],
        summary: "show or choose the device",
        help: "The current model is reloaded on the new device.",
        forms: vec![
            Form::bare("", "show or choose the device", |line, _| {
                Ok(PartKind::Session(Command::Device { device: line.word(0) }))
            })
            .slots(DEVICE),
        ],
        cell: None,
        examples: vec!["%device".into(), "%device cpu".into()],
    }
}
