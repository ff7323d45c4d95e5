//! One record of a file, before it becomes an example.

use std::collections::BTreeMap;

use super::DataError;
use super::dataset::SplitName;

/// What the fields of a record make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    Completion { prompt: String, completion: String },
    Labelled { text: String, label: String },
}

/// A record with the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) line: usize,
    pub(super) content: Content,
    pub(super) split: Option<SplitName>,
}

impl Record {
    pub(super) fn text(line: usize, text: &str) -> Self {
        Self { line, content: Content::Text(text.to_owned()), split: None }
    }

    /// Makes a record of named fields: `prompt` and `completion`, or `text` and perhaps `label`; `split` where it is there.
    pub(super) fn from_fields(source_name: &str, line: usize, mut fields: BTreeMap<String, String>) -> Result<Self, DataError> {
        let found: Vec<String> = fields.keys().cloned().collect();
        let missing = |missing| DataError::MissingField { source_name: source_name.to_owned(), line, missing, found: found.clone() };
        let malformed = |problem| DataError::Malformed { source_name: source_name.to_owned(), line, problem };
        let split = match fields.remove("split").filter(|name| !name.is_empty()) {
            Some(name) => Some(SplitName::parse(&name).ok_or_else(|| malformed(format!("split is `{name}`, not train, validation or test")))?),
            None => None,
        };
        let content = match (fields.remove("prompt"), fields.remove("completion"), fields.remove("text"), fields.remove("label")) {
            (Some(prompt), Some(completion), _, _) => Content::Completion { prompt, completion },
            (Some(_), None, _, _) => return Err(missing("`completion`")),
            (None, Some(_), _, _) => return Err(missing("`prompt`")),
            (None, None, Some(text), Some(label)) => Content::Labelled { text, label },
            (None, None, Some(text), None) => Content::Text(text),
            (None, None, None, _) => return Err(missing("`text`")),
        };
        if let Some(field) = content.empty_field() {
            return Err(malformed(format!("its {field} is empty")));
        }
        Ok(Self { line, content, split })
    }
}

impl Content {
    /// What the record is called in messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Completion { .. } => "prompt and completion",
            Self::Labelled { .. } => "text and label",
        }
    }

    fn empty_field(&self) -> Option<&'static str> {
        let empty = |text: &String| text.trim().is_empty();
        match self {
            Self::Text(text) if empty(text) => Some("text"),
            Self::Completion { completion, .. } if empty(completion) => Some("completion"),
            Self::Labelled { text, .. } if empty(text) => Some("text"),
            Self::Labelled { label, .. } if empty(label) => Some("label"),
            _ => None,
        }
    }
}
