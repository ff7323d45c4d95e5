//! What can be wrong with a data set, with file and line.

use std::path::PathBuf;

use graft_protocol::Hint;

/// A data set cannot be read or used. `source_name` is a file, or the name of a cell's data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There are no examples in it.
    #[error("`{source_name}` has no examples")]
    Empty {
        /// Where.
        source_name: String,
    },
    /// It is not UTF-8.
    #[error("`{source_name}` line {line} is no UTF-8 text (byte {byte} of the file)")]
    NotUtf8 {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// Offset of the bad byte.
        byte: usize,
    },
    /// A line cannot be understood.
    #[error("`{source_name}` line {line}: {problem}")]
    Malformed {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong, in words.
        problem: String,
    },
    /// The fields make no example.
    #[error("`{source_name}` line {line} has no {missing}; its fields are {}", list(found))]
    MissingField {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// What is missing, such as `completion`.
        missing: &'static str,
        /// The fields there are.
        found: Vec<String>,
    },
    /// There is only one label.
    #[error("`{source_name}` has the single label `{label}`: there is nothing to tell apart")]
    OneLabel {
        /// Where.
        source_name: String,
        /// The label.
        label: String,
    },
    /// The template has no place for the text.
    #[error("the template `{template}` has no {{text}}")]
    Template {
        /// The template given.
        template: String,
    },
    /// Validation and test leave nothing to train on.
    #[error("validation={validation} and test={test} leave none of the {examples} examples for training")]
    NothingLeft {
        /// Share for validation.
        validation: f64,
        /// Share for the test.
        test: f64,
        /// Examples there are.
        examples: usize,
    },
}

fn list(fields: &[String]) -> String {
    if fields.is_empty() { "none".to_owned() } else { fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ") }
}

impl Hint for DataError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "data::io",
            Self::Empty { .. } => "data::empty",
            Self::NotUtf8 { .. } => "data::not_utf8",
            Self::Malformed { .. } => "data::malformed",
            Self::MissingField { .. } => "data::missing_field",
            Self::OneLabel { .. } => "data::one_label",
            Self::Template { .. } => "data::template",
            Self::NothingLeft { .. } => "data::nothing_left",
        }
    }

    fn hint(&self) -> Option<String> {
        const FIELDS: &str = "an example has the fields prompt and completion, or text, or text and label";
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("give a jsonl, csv or txt file, or a built-in set: which-book, error-codes, rust-docs".to_owned())
            }
            Self::Io { .. } => None,
            Self::Empty { .. } | Self::MissingField { .. } => Some(FIELDS.to_owned()),
            Self::NotUtf8 { .. } => Some("convert it, for example with iconv -f latin1 -t utf-8".to_owned()),
            Self::Malformed { .. } => Some("format=jsonl, csv or txt says how to read it".to_owned()),
            Self::OneLabel { .. } => Some("load it without the label field to train on the text alone".to_owned()),
            Self::Template { .. } => Some("for example template=\"{text}\\nThis is from:\"".to_owned()),
            Self::NothingLeft { .. } => Some("give smaller shares".to_owned()),
        }
    }
}
