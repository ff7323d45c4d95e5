//! `%compare` and `%%compare`.

use graft_protocol::Command;
use graft_spec::training;

use super::generate::{PROMPT, body_prompt};
use crate::{
    part::PartKind,
    verb::{Form, VerbSpec},
};

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "compare",
        aliases: &[],
        summary: "continue a text with the base and with the adapter, side by side",
        help: "Both use the same seed.",
        forms: vec![
            Form::bare("", "generate from the prompt twice", |line, _| {
                Ok(PartKind::Session(Command::Compare {
                    prompt: line.joined(),
                    settings: line.settings.clone(),
                }))
            })
            .slots(PROMPT)
            .keys(training::GENERATE),
        ],
        cell: Some(
            Form::bare("", "generate from the text of the cell twice", |line, _| {
                Ok(PartKind::Session(Command::Compare {
                    prompt: body_prompt(line)?,
                    settings: line.settings.clone(),
                }))
            })
            .keys(training::GENERATE),
        ),
        examples: vec!["%compare \"error[E0502]:\" max_new_tokens=30".into()],
    }
}
