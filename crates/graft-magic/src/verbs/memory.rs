//! `%memory`.

use graft_protocol::Command;
use graft_spec::training;

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const SHAPE: &[Slot] = &[
    Slot::required(
        "MODEL",
        SlotKind::Text,
        "a published model, such as llama-3.2-1b, qwen3-4b, mistral-7b, gpt2 or bert-base",
    ),
    Slot::optional("METHOD", SlotKind::Choice(&["lora"]), "the method; only lora"),
];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "memory",
        aliases: &[],
        summary: "predict the memory that training needs, in parts, compared with full fine-tuning",
        help: "Computed from the shapes of the tensors. `for` predicts LoRA on all linear layers \
            of a published model, without its weights. A run that does not fit into the memory of this \
            machine, its container or its GPU is refused before it starts. The last line shows \
            the measured memory of the newest run of this model; `%runs show` shows it for each \
            run.",
        forms: vec![
            Form::bare("", "the active adapter on the current model", |line, _| {
                Ok(PartKind::Session(Command::Memory { of: None, settings: line.settings.clone() }))
            })
            .keys(training::MEMORY),
            Form::bare("for", "a published model, and the consumer GPUs it fits on", |line, _| {
                Ok(PartKind::Session(Command::Memory {
                    of: line.word(0),
                    settings: line.settings.clone(),
                }))
            })
            .slots(SHAPE)
            .keys(training::MEMORY),
        ],
        cell: None,
        examples: vec![
            "%memory batch=16".into(),
            "%memory for llama-3.2-1b lora r=16 batch=1 max_length=1024".into(),
        ],
    }
}
