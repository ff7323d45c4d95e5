//! `%generate` and `%%generate`.

use graft_protocol::Command;
use graft_spec::{Failure, training};

use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

/// The prompt of `%generate` and `%compare`.
pub(super) const PROMPT: &[Slot] = &[Slot::rest("PROMPT", SlotKind::Text, "the text to continue")];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "generate",
        aliases: &[],
        summary: "continue a text with the model and its active adapter",
        help: "Greedy by default; temperature, top_k and top_p sample. In the final output, darker tokens have a lower probability.",
        forms: vec![
            Form::bare("", "generate from the prompt", line).slots(PROMPT).keys(training::GENERATE),
        ],
        cell: Some(
            Form::bare("", "generate from the text of the cell", cell).keys(training::GENERATE),
        ),
        examples: vec![
            "%generate \"The borrow checker\"".into(),
            "%generate \"A trait is\" max_new_tokens=40 temperature=0.8 top_p=0.9".into(),
            "%%generate temperature=0.7\nLifetimes are\n".into(),
        ],
    }
}

fn line(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    Ok(PartKind::Session(Command::Generate {
        prompt: line.joined(),
        settings: line.settings.clone(),
    }))
}

fn cell(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    Ok(PartKind::Session(Command::Generate {
        prompt: body_prompt(line)?,
        settings: line.settings.clone(),
    }))
}

/// Returns the body of a `%%` cell as a prompt, without the end of its last line.
pub(super) fn body_prompt(line: &Invocation<'_>) -> Result<String, Failure> {
    let prompt = line.body.trim_end_matches(['\n', '\r']);
    if prompt.trim().is_empty() {
        return Err(Failure::new("magic::empty_cell", "no prompt below this line")
            .hint(format!("write the prompt below, or use `%{}` with one `%`", line.verb.name))
            .span(line.span));
    }
    Ok(prompt.to_owned())
}
