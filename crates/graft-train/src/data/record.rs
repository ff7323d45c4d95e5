//! A record of a file, before it becomes an example.

use std::sync::Arc;

use super::dataset::SplitName;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    /// A string, an integer or a boolean, as text.
    Text(String),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// No value.
    Null,
    /// A list; its elements are not stored.
    List,
    /// An object; its fields are not stored.
    Object,
}

/// The texts of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    Completion { prompt: String, completion: String },
    Labeled { text: String, label: Arc<str> },
}

/// A record with the line that it starts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) line: usize,
    pub(super) content: Content,
    pub(super) split: Option<SplitName>,
}

impl Content {
    /// The name of the kind of record, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Completion { .. } => "prompt and completion",
            Self::Labeled { .. } => "text and label",
        }
    }

    /// The required field that is empty, if any.
    pub(super) fn empty_field(&self) -> Option<&'static str> {
        let empty = |text: &str| text.trim().is_empty();
        match self {
            Self::Text(text) if empty(text) => Some("text"),
            Self::Completion { completion, .. } if empty(completion) => Some("completion"),
            Self::Labeled { text, .. } if empty(text) => Some("text"),
            Self::Labeled { label, .. } if empty(label) => Some("label"),
            _ => None,
        }
    }

    /// Number of bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Completion { prompt, completion } => prompt.len() + completion.len(),
            Self::Labeled { text, label } => text.len() + label.len(),
        }
    }
}
