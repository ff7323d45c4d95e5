//! Errors of reading data sets, with file and line.

mod hint;

use std::path::PathBuf;

use graft_spec::{Hint, user_file::UserFileError};

use super::place::Place;

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
    #[error("`{source_name}` has no examples{}", skipped_all(*skipped, first.as_deref()))]
    Empty {
        /// Where.
        source_name: String,
        /// Number of bad rows that were skipped.
        skipped: usize,
        /// What is wrong with the first of them.
        first: Option<String>,
    },
    /// A folder without data files.
    #[error("the folder `{}` has no data files", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder with too many files.
    #[error("the folder `{}` has more than {most} data files", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
    /// A Parquet file cannot be decoded.
    #[error("the Parquet file `{source_name}` is damaged: {problem}")]
    DamagedParquet {
        /// The file.
        source_name: String,
        /// The problem.
        problem: String,
    },
    /// The path does not name a regular file, or the file is too large.
    #[error(transparent)]
    File(UserFileError),
    /// The format is detected but not supported.
    #[error("`{source_name}` is {format}; %data load reads jsonl, json, csv, tsv, txt and parquet")]
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
    #[error("`{source_name}` {place} is longer than {} MB, the limit for one example", most >> 20)]
    LongLine {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// The limit in bytes.
        most: usize,
    },
    /// A line is not valid UTF-8.
    #[error("`{source_name}` {place} is not valid UTF-8 (byte {byte} of the file)")]
    NotUtf8 {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// Offset of the invalid byte.
        byte: u64,
    },
    /// A line contains control characters.
    #[error("`{source_name}` {place} contains control characters: the file is binary or damaged")]
    Binary {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
    },
    /// A paragraph of plain text is too long for one example.
    #[error("`{source_name}`: the paragraph that begins on {place} is longer than {} MB, the limit for one example", most >> 20)]
    LongParagraph {
        /// Where.
        source_name: String,
        /// Its first line.
        place: Place,
        /// The limit in bytes.
        most: usize,
    },
    /// A quoted field has no closing quote, so that the end of the row is unknown.
    #[error("`{source_name}` {place}: a quote is never closed")]
    OpenQuote {
        /// Where.
        source_name: String,
        /// The line on which the row begins.
        place: Place,
    },
    /// The entries of `columns=` cannot be used.
    #[error("`columns`: {problem}")]
    Columns {
        /// The problem.
        problem: String,
    },
    /// `columns=` names a column that a row does not have.
    #[error(
        "`{source_name}` {place} has no column `{column}` for the {role}; its columns are {}",
        list(found)
    )]
    UnknownColumn {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// The role.
        role: &'static str,
        /// The column that was named.
        column: String,
        /// The existing columns.
        found: Vec<String>,
    },
    /// A row has another shape than the first one.
    #[error(
        "`{source_name}` {place} has {found}, but the first example ({first_place}) has {first}"
    )]
    MixedShapes {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// What it has.
        found: &'static str,
        /// What the first example has.
        first: &'static str,
        /// File and line of the first example.
        first_place: String,
    },
    /// A label is missing.
    #[error("`{source_name}` {place}: the label is {found}, a missing value")]
    MissingLabel {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// What is in its place.
        found: String,
    },
    /// No training example has a label of the validation or test split.
    #[error(
        "`{source_name}` {place}: the label `{label}` is in the {split} split, but no training example has it; labels for training: {}",
        list(known)
    )]
    UnseenLabel {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// The label.
        label: String,
        /// Its split.
        split: &'static str,
        /// The labels of the training split.
        known: Vec<String>,
    },
    /// A label is a number with a fraction.
    #[error(
        "`{source_name}` {place}: the label is the number {label}; a label must be a name or a whole number (regression is not supported yet)"
    )]
    FloatLabel {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// The number.
        label: String,
    },
    /// A label is a list.
    #[error(
        "`{source_name}` {place}: the label is a list; each example needs one label (multi-label and token classification are not supported yet)"
    )]
    ListLabel {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
    },
    /// The data set has too many different labels.
    #[error("`{source_name}` {place} has label number {}; a data set can have at most {most} different labels", most + 1)]
    TooManyLabels {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// The limit.
        most: usize,
    },
    /// A record has too many fields.
    #[error("`{source_name}` {place} has more than {most} fields")]
    TooManyFields {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
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
    #[error("`{source_name}` {place}: {problem}")]
    Malformed {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// The problem.
        problem: String,
    },
    /// The fields do not form an example.
    #[error("`{source_name}` {place} has no `{missing}`; its fields are {}", list(found))]
    MissingField {
        /// Where.
        source_name: String,
        /// Line or row.
        place: Place,
        /// The missing field, such as `completion`.
        missing: &'static str,
        /// The existing fields.
        found: Vec<String>,
        /// Whether the user gave the columns.
        is_given: bool,
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
    /// The template lacks a placeholder.
    #[error("template `{template}` must contain {needed}")]
    Template {
        /// The template.
        template: String,
        /// The placeholder, such as `{text}`.
        needed: &'static str,
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

impl DataError {
    /// An error in `columns=`.
    pub(crate) fn columns(problem: String) -> Self {
        Self::Columns { problem }
    }

    /// Whether it is an error of one row, so that the other rows can be read.
    pub(crate) fn is_of_one_row(&self) -> bool {
        matches!(
            self,
            Self::LongLine { .. }
                | Self::NotUtf8 { .. }
                | Self::Binary { .. }
                | Self::MixedShapes { .. }
                | Self::FloatLabel { .. }
                | Self::MissingLabel { .. }
                | Self::ListLabel { .. }
                | Self::TooManyFields { .. }
                | Self::Malformed { .. }
                | Self::MissingField { .. }
                | Self::UnknownColumn { .. }
        )
    }
}

/// Most names in a message.
const LISTED: usize = 20;

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn skipped_all(skipped: usize, first: Option<&str>) -> String {
    match first {
        Some(first) => format!(": all {skipped} rows are bad, the first one: {first}"),
        None => String::new(),
    }
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
            Self::EmptyFolder { .. } => "data::empty_folder",
            Self::TooManyFiles { .. } => "data::many_files",
            Self::File(error) => error.code(),
            Self::Foreign { .. } => "data::format",
            Self::DamagedParquet { .. } => "data::damaged_parquet",
            Self::TooLarge { .. } => "data::too_large",
            Self::Changed { .. } => "data::changed",
            Self::LongLine { .. } | Self::LongParagraph { .. } => "data::long_line",
            Self::NotUtf8 { .. } => "data::not_utf8",
            Self::Binary { .. } => "data::binary",
            Self::Columns { .. } => "data::columns",
            Self::UnknownColumn { .. } => "data::unknown_column",
            Self::MixedShapes { .. } => "data::mixed_shapes",
            Self::FloatLabel { .. } => "data::float_label",
            Self::MissingLabel { .. } => "data::missing_label",
            Self::UnseenLabel { .. } => "data::unseen_label",
            Self::ListLabel { .. } => "data::list_label",
            Self::TooManyLabels { .. } => "data::many_labels",
            Self::TooManyFields { .. } => "data::many_fields",
            Self::Interrupted { .. } => "data::interrupted",
            Self::OpenQuote { .. } | Self::Malformed { .. } => "data::malformed",
            Self::MissingField { .. } => "data::missing_field",
            Self::OneLabel { .. } => "data::one_label",
            Self::Template { .. } => "data::template",
            Self::NothingLeft { .. } => "data::nothing_left",
        }
    }

    fn hint(&self) -> Option<String> {
        hint::hint(self)
    }
}
