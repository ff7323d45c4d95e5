//! `%params` and `%weights`.

use graft_protocol::Command;

use crate::{
    cell::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

/// The layer of `%weights`.
const MODULE: &[Slot] = &[Slot::optional(
    "MODULE",
    SlotKind::Text,
    "the layer's path, or a suffix of it; default: the layer that changed most",
)];

/// The definition of `%params`.
pub(super) fn params() -> VerbSpec {
    VerbSpec {
        name: "params",
        aliases: &["parameters"],
        summary: "trainable parameters, module by module",
        help: "Below the table is the line that HF PEFT's print_trainable_parameters() prints.",
        forms: vec![Form::bare("", "the table", |_, _| Ok(PartKind::Session(Command::Params)))],
        cell: None,
        examples: vec!["%params".into()],
    }
}

/// The definition of `%weights`.
pub(super) fn weights() -> VerbSpec {
    VerbSpec {
        name: "weights",
        aliases: &[],
        summary: "plot what the active adapter changes in the weights",
        help: "Shows a table of the relative change of each layer. For one layer, plots the matrices A and B, the update, and the singular values of the update and \
               of the frozen weight. For a soft prompt, shows the nearest vocabulary tokens of each vector \
               and the attention that the texts of the data give to it.",
        forms: vec![
            Form::bare("", "show one layer", |line, _| {
                Ok(PartKind::Session(Command::Weights { module: line.word(0) }))
            })
            .slots(MODULE),
        ],
        cell: None,
        examples: vec!["%weights".into(), "%weights layers.2.self_attn.v_proj".into()],
    }
}
