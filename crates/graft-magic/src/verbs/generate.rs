//! `%generate` and `%%generate`.

use graft_protocol::Command;
use graft_spec::{Failure, training};

use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

/// The prompt of `%generate` and `%compare`.
pub(super) const PROMPT: &[Slot] = &[Slot::rest("PROMPT", SlotKind::Text, "the text to continue")];

/// The prompt of `%generate`, which a data set can replace.
const PROMPT_OR_DATA: &[Slot] = &[Slot::optional_rest(
    "PROMPT",
    SlotKind::Text,
    "the text to continue; with `data`, the prompts of a data set are continued",
)];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "generate",
        aliases: &[],
        summary: "continue a text with the model and its active adapter",
        help: "Greedy by default; temperature, top_k and top_p sample. In the final output, darker tokens have a lower probability.",
        forms: vec![
            Form::bare("", "generate from the prompt, or from those of a data set", line)
                .slots(PROMPT_OR_DATA)
                .keys(training::GENERATE_DATA),
        ],
        cell: Some(
            Form::bare("", "generate from the text of the cell", cell).keys(training::GENERATE),
        ),
        examples: vec![
            "%generate \"The borrow checker\"".into(),
            "%generate \"A trait is\" max_new_tokens=40 temperature=0.8 top_p=0.9".into(),
            "%generate data=test out=answers.jsonl max_new_tokens=40".into(),
            "%%generate temperature=0.7\nLifetimes are\n".into(),
        ],
    }
}

fn line(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let (prompt, settings) = (line.joined(), line.settings.clone());
    let has_data = settings.values.contains_key("data");
    if has_data && !line.positional.is_empty() {
        let problem = "a prompt and `data` are both given; the texts continue one of them";
        return Err(Failure::new("magic::prompt_and_data", problem)
            .hint("leave out the prompt: %generate data=test out=answers.jsonl")
            .span(line.span));
    }
    if has_data {
        return Ok(PartKind::Session(Command::GenerateData { settings }));
    }
    let is_of_prompt = |key: &String| training::GENERATE.iter().any(|spec| spec.name == key);
    if let Some(key) = settings.values.keys().find(|key| !is_of_prompt(key)) {
        return Err(Failure::new("magic::needs_data", format!("`{key}` needs a data set"))
            .hint("name one, or a split of the current one: %generate data=test out=answers.jsonl")
            .span(line.span));
    }
    if line.positional.is_empty() {
        return Err(Failure::new("magic::missing_argument", "the prompt is missing")
            .hint("write it in quotes: %generate \"The borrow checker\"; or name a data set: %generate data=test")
            .span(line.span));
    }
    Ok(PartKind::Session(Command::Generate { prompt, settings }))
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

#[cfg(test)]
mod tests {
    use graft_protocol::{Command, Snapshot};

    use crate::{PartKind, parse_cell};

    fn parsed(line: &str) -> Result<Command, String> {
        let parts = parse_cell(line, &Snapshot::default()).map_err(|failure| failure.message)?;
        match parts.into_iter().next().map(|part| part.kind) {
            Some(PartKind::Session(command)) => Ok(command),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_data_set_replaces_the_prompt_and_its_keys_need_it() {
        assert!(matches!(
            parsed("%generate data=test out=a.jsonl"),
            Ok(Command::GenerateData { .. })
        ));
        assert!(matches!(parsed("%generate \"x\" top_p=0.9"), Ok(Command::Generate { .. })));
        assert_eq!(
            parsed("%generate \"x\" data=test").unwrap_err(),
            "a prompt and `data` are both given; the texts continue one of them"
        );
        assert_eq!(parsed("%generate \"x\" out=a").unwrap_err(), "`out` needs a data set");
        assert_eq!(parsed("%generate temperature=1").unwrap_err(), "the prompt is missing");
    }
}
