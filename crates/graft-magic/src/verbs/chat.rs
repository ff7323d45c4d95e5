//! `%chat` and `%%chat`.

use graft_protocol::{ChatAction, Command};
use graft_spec::{Failure, chat::CHAT};

use super::generate::body_prompt;
use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const MESSAGE: &[Slot] = &[Slot::optional_rest(
    "MESSAGE",
    SlotKind::Text,
    "what to say to the model; without it, the conversation is shown",
)];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "chat",
        aliases: &[],
        summary: "talk to the model through its chat template",
        help: "The conversation is kept until `%chat reset`. The template is the model's own unless `template` gives another; a base model has none.",
        forms: vec![
            Form::bare("", "say something; without a message, show the conversation", line)
                .slots(MESSAGE)
                .keys(CHAT),
            Form::bare("reset", "start a new conversation", |_, _| command(ChatAction::Reset)),
        ],
        cell: Some(Form::bare("", "say the text of the cell", cell).keys(CHAT)),
        examples: vec![
            "%chat \"What is a borrow checker?\"".into(),
            "%chat \"And in one sentence?\" temperature=0.7 max_new_tokens=80".into(),
            "%chat \"Hello\" template=chatml system=\"Be brief.\"".into(),
            "%chat reset".into(),
        ],
    }
}

fn line(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let text = line.joined();
    if text.trim().is_empty() && line.settings.values.is_empty() {
        return command(ChatAction::Show);
    }
    say(line, text)
}

fn cell(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    say(line, body_prompt(line)?)
}

fn say(line: &Invocation<'_>, text: String) -> Result<PartKind, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::new("magic::missing_argument", "the message is missing")
            .hint("write it in quotes: %chat \"Hello\"")
            .span(line.span));
    }
    command(ChatAction::Say { text, settings: line.settings.clone() })
}

fn command(action: ChatAction) -> Result<PartKind, Failure> {
    Ok(PartKind::Session(Command::Chat { action }))
}

#[cfg(test)]
mod tests {
    use graft_protocol::{ChatAction, Command, Snapshot};

    use crate::{PartKind, parse_cell};

    fn action(line: &str) -> ChatAction {
        match parse_cell(line, &Snapshot::default()).unwrap().remove(0).kind {
            PartKind::Session(Command::Chat { action }) => action,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_a_message_the_conversation_is_shown_unless_there_are_keys() {
        assert_eq!(action("%chat"), ChatAction::Show);
        assert!(
            matches!(action("%chat Hello there"), ChatAction::Say { text, .. } if text == "Hello there")
        );
        let failure = parse_cell("%chat template=plain", &Snapshot::default()).unwrap_err();
        assert_eq!(failure.message, "the message is missing");
    }
}
