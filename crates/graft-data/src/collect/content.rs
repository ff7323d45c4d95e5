//! From the fields of a row to the content of an example.

use std::borrow::Cow;

use super::{Collector, Flow, written};
use crate::DataError;
use crate::conversation;
use crate::dataset::SplitName;
use crate::examples::Content;
use crate::labels::{is_whole, whole_name};
use crate::place::Place;
use crate::record::{Field, Row};
use crate::roles::Role;
use crate::shape::{Plan, Shape};
use crate::template::{filled, instruction};

/// The shape of a row: a prompt and a completion that are lists of messages are a conversation.
pub(super) fn shape(plan: &Plan, row: &Row<'_>) -> Shape {
    let is_list =
        |role| matches!(plan.column(role).map(|column| &row[column].1), Some(Field::List(Some(_))));
    match plan.shape {
        Shape::Completion if is_list(Role::Prompt) && is_list(Role::Completion) => Shape::Chat,
        shape => shape,
    }
}

impl Collector<'_> {
    /// Adds the example of a row.
    pub(super) fn content(
        &mut self,
        place: Place,
        plan: &Plan,
        row: Row<'_>,
        split: Option<SplitName>,
    ) -> Result<Flow, DataError> {
        match plan.shape {
            Shape::Text => {
                let text = self.required(place, plan, &row, Role::Text)?;
                self.push(Content::Text(&text), split)
            }
            Shape::Labeled | Shape::Pair => self.labeled(place, plan, &row, split),
            Shape::Completion => self.completion(place, plan, &row, split),
            Shape::Preference => self.preference(place, plan, &row, split),
            Shape::Chat => self.chat(place, plan, &row, split),
        }
    }

    fn labeled(
        &mut self,
        place: Place,
        plan: &Plan,
        row: &Row<'_>,
        split: Option<SplitName>,
    ) -> Result<Flow, DataError> {
        let text = self.required(place, plan, row, Role::Text)?;
        let pair = match plan.shape {
            Shape::Pair => Some(self.required(place, plan, row, Role::TextPair)?),
            _ => None,
        };
        let name = self.label(place, plan, row)?;
        let source_name = self.source_name.clone();
        let label = self.labels.number(&name, (&source_name, place), split)?;
        let template = self.options.template.of(plan.shape, false)?;
        match pair {
            None => {
                let prompt = filled(template, &[("{text}", &text)]);
                self.push(Content::Labeled { prompt: &prompt, label }, split)
            }
            Some(pair) => {
                let parts = [("{text_pair}", &*pair), ("{text}", &*text)];
                let prompt = filled(template, &parts);
                let texts = (&*text, &*pair);
                self.push(Content::Pair { prompt: &prompt, texts, label }, split)
            }
        }
    }

    fn completion(
        &mut self,
        place: Place,
        plan: &Plan,
        row: &Row<'_>,
        split: Option<SplitName>,
    ) -> Result<Flow, DataError> {
        if shape(plan, row) == Shape::Chat {
            let (prompt, prompt_messages) = self.messages(place, plan, row, Role::Prompt, None)?;
            let (completion, _) = self.messages(place, plan, row, Role::Completion, None)?;
            let messages = conversation::joined(&prompt, &completion);
            return self.add_chat(place, plan, row, (&messages, prompt_messages), split);
        }
        let prompt = self.string(place, plan, row, Role::Prompt)?;
        let completion = self.required(place, plan, row, Role::Completion)?;
        if plan.is_verbatim && !self.options.template.is_given() {
            return self
                .push(Content::Completion { prompt: &prompt, completion: &completion }, split);
        }
        let input = plan.column(Role::Input).and_then(|column| written(&row[column].1));
        let template = self.options.template.of(Shape::Completion, plan.is_verbatim)?;
        let parts = (&*prompt, input.as_deref().map_or("", str::trim), &*completion);
        let (prompt, completion) = instruction(template, parts);
        self.push(Content::Completion { prompt: &prompt, completion: &completion }, split)
    }

    fn chat(
        &mut self,
        place: Place,
        plan: &Plan,
        row: &Row<'_>,
        split: Option<SplitName>,
    ) -> Result<Flow, DataError> {
        let system = plan.column(Role::System).and_then(|column| written(&row[column].1));
        let (messages, _) = self.messages(place, plan, row, Role::Messages, system.as_deref())?;
        self.add_chat(place, plan, row, (&messages, 0), split)
    }

    fn add_chat(
        &mut self,
        place: Place,
        plan: &Plan,
        row: &Row<'_>,
        (messages, prompt_messages): (&str, usize),
        split: Option<SplitName>,
    ) -> Result<Flow, DataError> {
        if !conversation::has_assistant(messages) {
            let problem =
                "the conversation has no message of the assistant, so there is nothing to learn";
            return Err(self.malformed(place, problem.to_owned()));
        }
        let tools = match plan.column(Role::Tools).map(|column| &row[column].1) {
            Some(Field::List(Some(json))) => json.as_str(),
            Some(Field::Text(text)) => self.tools(place, text)?,
            _ => "",
        };
        self.push(Content::Chat { messages, tools, prompt_messages }, split)
    }

    /// Tools that are stored as JSON in a string.
    fn tools<'r>(&self, place: Place, text: &'r str) -> Result<&'r str, DataError> {
        let text = text.trim();
        let is_list =
            text.starts_with('[') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        match text {
            "" | "null" | "[]" => Ok(""),
            _ if is_list => Ok(text),
            _ => Err(self.malformed(place, "the tools are not a JSON list".to_owned())),
        }
    }

    /// The messages of a column, and their number: a list, or JSON in a string.
    pub(super) fn messages<'r>(
        &self,
        place: Place,
        plan: &Plan,
        row: &'r Row<'_>,
        role: Role,
        system: Option<&str>,
    ) -> Result<(Cow<'r, str>, usize), DataError> {
        let json = match plan.column(role).map(|column| &row[column].1) {
            Some(Field::List(Some(json))) => json.as_str(),
            Some(Field::Text(text)) if text.trim_start().starts_with('[') => text.as_ref(),
            field => {
                let found = field.map_or("missing", kind);
                let problem =
                    format!("the {} are {found}; expected a list of messages", role.name());
                return Err(self.malformed(place, problem));
            }
        };
        conversation::messages(json, system)
            .map_err(|problem| self.malformed(place, format!("in the {}: {problem}", role.name())))
    }

    /// The text of a role, which is not blank.
    pub(super) fn required<'r>(
        &self,
        place: Place,
        plan: &Plan,
        row: &'r Row<'_>,
        role: Role,
    ) -> Result<Cow<'r, str>, DataError> {
        let text = self.string(place, plan, row, role)?;
        if text.trim().is_empty() {
            let name = plan.column(role).map_or(role.name(), |column| &row[column].0);
            return Err(self.malformed(place, format!("the {} is empty", named(role, name))));
        }
        Ok(text)
    }

    fn string<'r>(
        &self,
        place: Place,
        plan: &Plan,
        row: &'r Row<'_>,
        role: Role,
    ) -> Result<Cow<'r, str>, DataError> {
        let Some((name, field)) = plan.column(role).map(|column| &row[column]) else {
            return Ok(Cow::Borrowed(""));
        };
        written(field).ok_or_else(|| {
            let expected = if is_missing(field) { "" } else { "; expected a string" };
            self.malformed(place, format!("the {} is {}{expected}", named(role, name), kind(field)))
        })
    }

    fn label<'r>(
        &mut self,
        place: Place,
        plan: &Plan,
        row: &'r Row<'_>,
    ) -> Result<Cow<'r, str>, DataError> {
        let source_name = || self.source_name.to_string();
        let missing = |found: &str| DataError::MissingLabel {
            source_name: source_name(),
            place,
            found: found.to_owned(),
        };
        match plan.column(Role::Label).map_or(&Field::Null, |column| &row[column].1) {
            Field::Text(text) if text.trim().is_empty() => Err(missing("empty")),
            Field::Text(text) if text.trim() == "NaN" => Err(missing("`NaN`")),
            Field::Text(text) => Ok(Cow::Borrowed(text)),
            Field::Float(number) if number.is_nan() => Err(missing("`NaN`")),
            Field::Float(number) if is_whole(*number) => {
                let name = whole_name(*number);
                self.labels.note_whole_float();
                Ok(Cow::Owned(name))
            }
            Field::Float(number) => Err(DataError::FloatLabel {
                source_name: source_name(),
                place,
                label: number.to_string(),
            }),
            Field::List(_) => Err(DataError::ListLabel { source_name: source_name(), place }),
            field @ (Field::Object | Field::Bytes) => {
                let problem =
                    format!("the label is {}; expected a name or a whole number", kind(field));
                Err(self.malformed(place, problem))
            }
            Field::Null => Err(missing("null")),
        }
    }
}

/// `text`, or `text (column `review`)`.
fn named(role: Role, column: &str) -> String {
    if column.trim().eq_ignore_ascii_case(role.name()) {
        role.name().to_owned()
    } else {
        format!("{} (column `{column}`)", role.name())
    }
}

fn is_missing(field: &Field<'_>) -> bool {
    matches!(field, Field::Null)
}

fn kind(field: &Field<'_>) -> &'static str {
    match field {
        Field::Text(_) => "text",
        Field::Float(_) => "a number",
        Field::Null => "null",
        Field::List(_) => "a list",
        Field::Object => "an object",
        Field::Bytes => "bytes that are not text",
    }
}

impl Content<'_> {
    /// Number of bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Completion { prompt, completion } => prompt.len() + completion.len(),
            Self::Labeled { prompt, .. } => prompt.len(),
            Self::Pair { prompt, texts, .. } => prompt.len() + texts.0.len() + texts.1.len(),
            Self::Preference { prompt, chosen, rejected } => {
                prompt.len() + chosen.len() + rejected.len()
            }
            Self::PreferredMessages { chosen, rejected, .. } => chosen.len() + rejected.len(),
            Self::Chat { messages, tools, .. } => messages.len() + tools.len(),
        }
    }
}

impl Shape {
    /// What an example of this shape has, for messages.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Labeled => "text and label",
            Self::Pair => "a pair of texts and label",
            Self::Completion => "prompt and completion",
            Self::Preference => "chosen and rejected answers",
            Self::Chat => "messages",
        }
    }
}
