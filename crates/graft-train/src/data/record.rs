//! One record of a file, before it becomes an example.

use std::sync::Arc;

use super::dataset::SplitName;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    /// A string, a whole number or a truth value, as text.
    Text(String),
    /// A number that was written with a fraction or an exponent.
    Float(f64),
    /// Nothing.
    Null,
    /// A list, whose elements are not kept.
    List,
    /// An object, whose fields are not kept.
    Object,
}

/// What the fields of a record make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    Completion { prompt: String, completion: String },
    Labelled { text: String, label: Arc<str> },
}

/// A record with the line that it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) line: usize,
    pub(super) content: Content,
    pub(super) split: Option<SplitName>,
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

    /// The field without which the record is no example, if it is empty.
    pub(super) fn empty_field(&self) -> Option<&'static str> {
        let empty = |text: &str| text.trim().is_empty();
        match self {
            Self::Text(text) if empty(text) => Some("text"),
            Self::Completion { completion, .. } if empty(completion) => Some("completion"),
            Self::Labelled { text, .. } if empty(text) => Some("text"),
            Self::Labelled { label, .. } if empty(label) => Some("label"),
            _ => None,
        }
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Completion { prompt, completion } => prompt.len() + completion.len(),
            Self::Labelled { text, label } => text.len() + label.len(),
        }
    }
}
