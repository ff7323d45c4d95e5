//! Errors of reading data sets, with file and line.

use std::path::{Path, PathBuf};

use graft_spec::{Hint, user_file::UserFileError};

use super::detect::with_name;

/// An error of reading or checking a data set. `source_name` is a file, or the name of data in a
/// cell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The data set is empty.
    #[error("`{source_name}` has no examples")]
    Empty {
        /// Where.
        source_name: String,
    },
    /// The path does not name a regular file, or the file is too large.
    #[error(transparent)]
    File(UserFileError),
    /// The format is detected but not supported.
    #[error("`{source_name}` is {format}; %data load reads jsonl, csv, tsv and txt")]
    Foreign {
        /// The file.
        source_name: String,
        /// The format, with its article.
        format: &'static str,
        /// A command that converts the file.
        hint: String,
    },
    /// The data set needs more memory than is available.
    #[error("`{source_name}` needs more memory ({} MB) than is available ({} MB)", bytes.div_ceil(1_000_000), left / 1_000_000)]
    TooLarge {
        /// The file.
        source_name: String,
        /// The size of the file, or of the examples so far.
        bytes: u64,
        /// Available bytes.
        left: u64,
    },
    /// The size of the file changed while it was read.
    #[error("`{source_name}` changed while it was read: {before} bytes became {after}")]
    Changed {
        /// The file.
        source_name: String,
        /// Size when it was opened.
        before: u64,
        /// Size afterwards.
        after: u64,
    },
    /// A line is too long for one example.
    #[error("`{source_name}` line {line} is longer than {} MB, the limit for one example", most >> 20)]
    LongLine {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// A line is not valid UTF-8.
    #[error("`{source_name}` line {line} is not valid UTF-8 (byte {byte} of the file)")]
    NotUtf8 {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// Offset of the invalid byte.
        byte: u64,
    },
    /// A line contains control characters.
    #[error(
        "`{source_name}` line {line} contains control characters: the file is binary or damaged"
    )]
    Binary {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
    },
    /// The fields are those of an unsupported kind of data set.
    #[error("`{source_name}` line {line} is from {what}, which is not supported yet")]
    Unsupported {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// The kind of data set.
        what: String,
        /// How to convert it.
        hint: String,
    },
    /// A label is a number with a fraction.
    #[error(
        "`{source_name}` line {line}: the label is the number {label}; a label must be a name or a whole number (regression is not supported yet)"
    )]
    FloatLabel {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// The number.
        label: String,
    },
    /// A label is a list.
    #[error(
        "`{source_name}` line {line}: the label is a list; each example needs one label (multi-label and token classification are not supported yet)"
    )]
    ListLabel {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
    },
    /// The data set has too many different labels.
    #[error("`{source_name}` line {line} has label number {}; a data set can have at most {most} different labels", most + 1)]
    TooManyLabels {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// The limit.
        most: usize,
    },
    /// A record has too many fields.
    #[error("`{source_name}` line {line} has more than {most} fields")]
    TooManyFields {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// The limit.
        most: usize,
    },
    /// The user stopped the reading.
    #[error("stopped reading `{source_name}` after line {line}; nothing was loaded")]
    Interrupted {
        /// Where.
        source_name: String,
        /// Lines read.
        line: usize,
    },
    /// A line cannot be parsed.
    #[error("`{source_name}` line {line}: {problem}")]
    Malformed {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// The fields do not form an example.
    #[error("`{source_name}` line {line} has no {missing}; its fields are {}", list(found))]
    MissingField {
        /// Where.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// The missing field, such as `completion`.
        missing: &'static str,
        /// The existing fields.
        found: Vec<String>,
    },
    /// There is only one label.
    #[error(
        "`{source_name}` has only the label `{label}`; classification needs at least two labels"
    )]
    OneLabel {
        /// Where.
        source_name: String,
        /// The label.
        label: String,
    },
    /// The template has no `{text}`.
    #[error("template `{template}` must contain {{text}}")]
    Template {
        /// The template.
        template: String,
    },
    /// Validation and test leave no examples for training.
    #[error(
        "validation={validation} and test={test} leave none of the {examples} examples for training"
    )]
    NothingLeft {
        /// Fraction for validation.
        validation: f64,
        /// Fraction for the test.
        test: f64,
        /// Number of examples.
        examples: usize,
    },
}

fn list(fields: &[String]) -> String {
    if fields.is_empty() {
        "none".to_owned()
    } else {
        fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
    }
}

/// Commands that convert a file from Windows-1252 to UTF-8.
fn to_utf8(source_name: &str) -> String {
    let path = Path::new(source_name);
    let ending =
        path.extension().map_or_else(String::new, |ending| format!(".{}", ending.display()));
    let target = path.with_extension(format!("utf8{ending}")).display().to_string();
    let step = with_name("iconv -f WINDOWS-1252 -t UTF-8 'FILE'", source_name);
    format!(
        "if the file is in the Windows-1252 encoding: {step} > '{target}', then %data load {target}"
    )
}

impl From<UserFileError> for DataError {
    fn from(error: UserFileError) -> Self {
        match error {
            UserFileError::Io { path, source } => Self::Io { path, source },
            other => Self::File(other),
        }
    }
}

impl Hint for DataError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "data::io",
            Self::Empty { .. } => "data::empty",
            Self::File(error) => error.code(),
            Self::Foreign { .. } => "data::format",
            Self::TooLarge { .. } => "data::too_large",
            Self::Changed { .. } => "data::changed",
            Self::LongLine { .. } => "data::long_line",
            Self::NotUtf8 { .. } => "data::not_utf8",
            Self::Binary { .. } => "data::binary",
            Self::Unsupported { .. } => "data::unsupported",
            Self::FloatLabel { .. } => "data::float_label",
            Self::ListLabel { .. } => "data::list_label",
            Self::TooManyLabels { .. } => "data::many_labels",
            Self::TooManyFields { .. } => "data::many_fields",
            Self::Interrupted { .. } => "data::interrupted",
            Self::Malformed { .. } => "data::malformed",
            Self::MissingField { .. } => "data::missing_field",
            Self::OneLabel { .. } => "data::one_label",
            Self::Template { .. } => "data::template",
            Self::NothingLeft { .. } => "data::nothing_left",
        }
    }

    fn hint(&self) -> Option<String> {
        const FIELDS: &str =
            "an example has the fields prompt and completion, or text, or text and label";
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("give a jsonl, csv, tsv or txt file, or a built-in set: which-book, error-codes, rust-docs".to_owned())
            }
            Self::Io { .. } | Self::Interrupted { .. } => None,
            Self::File(error) => error.hint(),
            Self::Foreign { hint, .. } | Self::Unsupported { hint, .. } => Some(hint.clone()),
            Self::TooLarge { .. } => Some("load part of it: head -n 100000 BIG > PART".to_owned()),
            Self::Changed { .. } => Some("load it again once it is complete".to_owned()),
            Self::LongLine { .. } => Some("write one example per line, or for running text a blank line between passages".to_owned()),
            Self::Binary { .. } => Some("inspect it: head -c 200 FILE | od -c".to_owned()),
            Self::FloatLabel { .. } => {
                Some("write classes such as low and high into a column `label`, or remove the column to train on the text alone".to_owned())
            }
            Self::ListLabel { .. } => Some("write one label for each example, or remove the field to train on the text alone".to_owned()),
            Self::TooManyLabels { .. } => Some("if each text has its own answer, name the fields prompt and completion".to_owned()),
            Self::TooManyFields { .. } => Some("keep the columns text and label, or prompt and completion".to_owned()),
            Self::Empty { .. } | Self::MissingField { .. } => Some(FIELDS.to_owned()),
            Self::NotUtf8 { source_name, .. } => Some(to_utf8(source_name)),
            Self::Malformed { problem, .. } if problem.ends_with(" is empty") => Some("fill it in, or remove that example".to_owned()),
            Self::Malformed { .. } => Some("set the format with format=jsonl, csv, tsv or txt".to_owned()),
            Self::OneLabel { .. } => Some("remove the label field to train on the text alone, or add examples with another label".to_owned()),
            Self::Template { .. } => Some("for example template=\"{text}\\nThis is from:\"".to_owned()),
            Self::NothingLeft { .. } => Some("use smaller values".to_owned()),
        }
    }
}
