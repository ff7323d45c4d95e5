//! `%model`: load, inspect and save a model.

use graft_protocol::Command;
use graft_spec::{Failure, Value, training};

use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const SOURCE: &[Slot] = &[Slot::required(
    "SOURCE",
    SlotKind::ModelSource,
    "tiny (embedded), a Hugging Face folder, a GGUF file, or ORG/NAME on the Hub",
)];

const TOKENS: &[Slot] = &[Slot::optional(
    "N",
    SlotKind::Number,
    "number of rows of the embedding; without it as many as added_tokens needs",
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
            Form::bare("resize_tokens", "load the current model again with more tokens", resize)
                .slots(TOKENS)
                .keys(training::MODEL_RESIZE),
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
            "%model load tiny added_tokens=\"<|im_start|>,<|im_end|>\"".into(),
            "%model resize_tokens 1100".into(),
            "%model tree".into(),
            "%model save merged dtype=bf16".into(),
        ],
    }
}

fn resize(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let mut settings = line.settings.clone();
    if let Some(word) = line.positional.first() {
        let key = training::MODEL_RESIZE.iter().find(|key| key.name == "resize_tokens");
        let rows = key.map(|key| key.parse(&word.text)).transpose();
        let rows = rows.map_err(|error| Failure::from(error).span(word.span))?;
        settings.set("resize_tokens", rows.unwrap_or(Value::Integer(1)));
    }
    if settings.values.is_empty() {
        return Err(Failure::new("magic::missing_argument", "the number of tokens is missing")
            .hint("for example `%model resize_tokens 1100`, or `%model resize_tokens added_tokens=\"<|im_start|>,<|im_end|>\"`")
            .span(line.span));
    }
    Ok(PartKind::Session(Command::ModelResize { settings }))
}
