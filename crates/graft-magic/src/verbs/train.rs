//! `%train` and `%resume`.

use graft_protocol::Command;
use graft_spec::training;

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const RUN: &[Slot] =
    &[Slot::optional("RUN", SlotKind::Run, "name of the run; default: the latest")];

/// Defines `%train`.
pub(super) fn train() -> VerbSpec {
    VerbSpec {
        name: "train",
        aliases: &[],
        summary: "train the active adapter and show a live loss plot",
        help: "The current data, with AdamW unless optim= names another optimizer. Names of \
            transformers' TrainingArguments are accepted. The stop button ends the run at the next step and keeps \
            model, adapter and curve; %resume continues it. bg=true trains in the background: \
            the cell returns at once, and %watch, %jobs and %stop control the run.",
        forms: vec![
            Form::bare("", "train the active adapter", |line, _| {
                Ok(PartKind::Session(Command::Train {
                    attach: None,
                    settings: line.settings.clone(),
                }))
            })
            .keys(training::TRAIN),
        ],
        cell: None,
        examples: vec![
            "%train steps=200 lr=1e-3 batch=8".into(),
            "%train epochs=3 warmup_ratio=0.1 schedule=linear".into(),
            "%train steps=1k eval_every=50 early_stopping=3 load_best=true".into(),
            "%train steps=2k bg=true".into(),
        ],
    }
}

/// Defines `%resume`.
pub(super) fn resume() -> VerbSpec {
    VerbSpec {
        name: "resume",
        aliases: &[],
        summary: "continue an interrupted run from its last checkpoint",
        help: "The losses are the same as in a run without interruption. Given keys replace those of the run, such as steps=400 for a longer run.",
        forms: vec![
            Form::bare("", "continue a run", |line, _| {
                Ok(PartKind::Session(Command::Resume {
                    run: line.word(0),
                    settings: line.settings.clone(),
                }))
            })
            .slots(RUN)
            .keys(training::TRAIN),
        ],
        cell: None,
        examples: vec!["%resume".into(), "%resume steps=400".into()],
    }
}
