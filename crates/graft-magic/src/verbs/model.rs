//! `%model`: load, inspect and save a model.

use graft_protocol::Command;
use graft_spec::training;

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const SOURCE: &[Slot] = &[Slot::required(
    "SOURCE",
    SlotKind::ModelSource,
    "tiny (embedded), a Hugging Face folder, a GGUF file, or ORG/NAME on the Hub",
)];

const FOLDER: &[Slot] =
    &[Slot::required("DIR", SlotKind::Path, "the folder; created if it does not exist")];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "model",
        aliases: &[],
        summary: "load, inspect and save a model",
        help: "The weights are frozen; only attached adapters are trained. Loading another model removes the adapters of the previous one.",
        forms: vec![
            Form::bare("", "a summary of the current model, and its README", |_, _| {
                Ok(PartKind::Session(Command::ModelCard))
            }),
            Form::bare("load", "load a model and make it the current one", |line, _| {
                Ok(PartKind::Session(Command::ModelLoad {
                    source: line.joined(),
                    settings: line.settings.clone(),
                }))
            })
            .slots(SOURCE)
            .keys(training::MODEL),
            Form::bare("card", "a summary of the current model, and its README", |_, _| {
                Ok(PartKind::Session(Command::ModelCard))
            }),
            Form::bare(
                "save",
                "save it as a Hugging Face folder for transformers, including merged adapters",
                |line, _| {
                    Ok(PartKind::Session(Command::ModelSave {
                        directory: line.joined(),
                        settings: line.settings.clone(),
                    }))
                },
            )
            .slots(FOLDER)
            .keys(training::MODEL_SAVE),
            Form::bare("tree", "its modules with shapes and adapters", |_, _| {
                Ok(PartKind::Session(Command::ModelTree))
            }),
        ],
        cell: None,
        examples: vec![
            "%model load tiny".into(),
            "%model load HuggingFaceTB/SmolLM2-135M dtype=bf16".into(),
            "%model tree".into(),
            "%model save merged dtype=bf16".into(),
        ],
    }
}
