//! `%params` and `%weights`.

use graft_protocol::Command;

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

/// The layer of `%weights`.
const MODULE: &[Slot] = &[Slot::optional(
    "MODULE",
    SlotKind::Text,
    "path of the layer, or the end of the path; without it the layer with the largest change",
)];

/// Defines `%params`.
pub(super) fn params() -> VerbSpec {
    VerbSpec {
        name: "params",
        aliases: &["parameters"],
        summary: "trainable parameters per module",
        help: "The last line has the format of print_trainable_parameters() in HF PEFT.",
        forms: vec![Form::bare("", "the table", |_, _| Ok(PartKind::Session(Command::Params)))],
        cell: None,
        examples: vec!["%params".into()],
    }
}

/// Defines `%weights`.
pub(super) fn weights() -> VerbSpec {
    VerbSpec {
        name: "weights",
        aliases: &[],
        summary: "plot the effect of the active adapter on the weights",
        help: "A table with the relative change of each layer. For one layer: the matrices A and \
            B, the update, and its singular values compared with those of the frozen weight. \
            For a soft prompt: the words of the vocabulary nearest to each of its vectors, and \
            the attention that the texts of the data pay to it.",
        forms: vec![
            Form::bare("", "show a layer", |line, _| {
                Ok(PartKind::Session(Command::Weights { module: line.word(0) }))
            })
            .slots(MODULE),
        ],
        cell: None,
        examples: vec!["%weights".into(), "%weights layers.2.self_attn.v_proj".into()],
    }
}
