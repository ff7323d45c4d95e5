//! From a file, a cell or the built-in sets to a [`Dataset`].

use std::fs;
use std::path::{Path, PathBuf};

use graft_protocol::{Settings, training::DATA};

use super::dataset::Dataset;
use super::record::Record;
use super::{DataError, csv, jsonl, share};

/// Names of the built-in sets.
pub const BUILTIN: &[&str] = &["which-book", "error-codes", "rust-docs"];

/// Prompt of the built-in classification.
const WHICH_BOOK_TEMPLATE: &str = "{text}\nThis is from:";

/// How records stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Jsonl,
    Csv,
    Txt,
}

/// Where the built-in sets are: `$GRAFT_DATA`, or this crate's own folder.
pub fn assets() -> PathBuf {
    std::env::var_os("GRAFT_DATA").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets"), PathBuf::from)
}

/// The built-in set of that name; `None` when there is none.
///
/// # Errors
/// When its file is missing or damaged.
pub fn builtin(name: &str) -> Result<Option<Dataset>, DataError> {
    builtin_with(name, &Settings::default())
}

/// [`builtin`] with keys of `%data load`, such as a template of one's own.
///
/// # Errors
/// As [`builtin`].
pub fn builtin_with(name: &str, settings: &Settings) -> Result<Option<Dataset>, DataError> {
    if !BUILTIN.contains(&name) {
        return Ok(None);
    }
    let path = assets().join(format!("{name}.jsonl"));
    let source_name = path.display().to_string();
    let records = jsonl::parse(&source_name, &read(&path)?)?;
    share::dataset(name, &source_name, records, settings, WHICH_BOOK_TEMPLATE).map(Some)
}

/// Reads a jsonl, csv or txt file; keys of `%data load`.
///
/// # Errors
/// [`DataError`], naming file and line.
pub fn load_file(path: &Path, settings: &Settings) -> Result<Dataset, DataError> {
    let text = read(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = settings.text(DATA, "name").unwrap_or(stem);
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    parse(&name, &path.display().to_string(), &text, &ending, settings)
}

/// Reads examples that stand in a cell, in any of the formats of files.
///
/// # Errors
/// [`DataError`], naming the set and the line of the text.
pub fn parse_inline(name: &str, text: &str, settings: &Settings) -> Result<Dataset, DataError> {
    parse(name, name, text, "", settings)
}

fn parse(name: &str, source_name: &str, text: &str, ending: &str, settings: &Settings) -> Result<Dataset, DataError> {
    let records = match format(text, ending, settings) {
        Format::Jsonl => jsonl::parse(source_name, text)?,
        Format::Csv => csv::parse(source_name, text)?,
        Format::Txt => paragraphs(text),
    };
    share::dataset(name, source_name, records, settings, share::TEMPLATE)
}

/// The format asked for, else that of the ending, else what the first line looks like.
fn format(text: &str, ending: &str, settings: &Settings) -> Format {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_ascii_lowercase();
    let is_header = first.split(',').map(|field| field.trim().trim_matches('"')).any(|field| field == "text" || field == "prompt");
    match (settings.text(DATA, "format").as_deref(), ending) {
        (Some("jsonl"), _) => Format::Jsonl,
        (Some("csv"), _) => Format::Csv,
        (Some("txt"), _) => Format::Txt,
        (_, "jsonl" | "ndjson" | "json") => Format::Jsonl,
        (_, "csv") => Format::Csv,
        (_, "txt" | "md") => Format::Txt,
        _ if first.starts_with('{') => Format::Jsonl,
        _ if is_header => Format::Csv,
        _ => Format::Txt,
    }
}

/// Plain text: an example is a passage between empty lines.
fn paragraphs(text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut passage: Vec<&str> = Vec::new();
    for (index, line) in text.lines().chain([""]).enumerate() {
        if !line.trim().is_empty() {
            passage.push(line.trim_end());
        } else if !passage.is_empty() {
            records.push(Record::text(index + 1 - passage.len(), &passage.join("\n")));
            passage.clear();
        }
    }
    records
}

/// A file as text; a byte order mark is dropped.
fn read(path: &Path) -> Result<String, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..byte].iter().filter(|byte| **byte == b'\n').count() + 1;
        DataError::NotUtf8 { source_name: path.display().to_string(), line, byte }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests;
