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
        help: "A table of how far each layer has moved; of one layer the matrices A and B and the update, and the singular values of the update beside \
               those of the frozen weight. Of a soft prompt, the words of the vocabulary that lie nearest to each of its vectors, \
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
