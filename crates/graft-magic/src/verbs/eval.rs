//! `%eval`.

use graft_protocol::Command;
use graft_spec::training;

use crate::{
    part::PartKind,
    verb::{Form, VerbSpec},
};

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "eval",
        aliases: &["evaluate"],
        summary: "loss, accuracy and other metrics, compared with the base model",
        help: "Accuracy is the fraction of examples whose own label scores highest. The table also shows the majority class. `metric` adds metrics with 95 % bootstrap intervals; those of text are computed on greedily generated answers.",
        forms: vec![
            Form::bare("", "evaluate the model with its active adapter", |line, _| {
                Ok(PartKind::Session(Command::Eval { settings: line.settings.clone() }))
            })
            .keys(training::EVAL),
        ],
        cell: None,
        examples: vec![
            "%eval".into(),
            "%eval split=validation examples=50".into(),
            "%eval metric=rouge,exact_match max_new_tokens=64".into(),
        ],
    }
}
