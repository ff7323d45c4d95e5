//! Reads files, cells and built-in data sets.

use std::path::{Path, PathBuf};

use graft_spec::{Settings, training::DATA};

use super::collect::{Collected, Collector};
use super::dataset::Dataset;
use super::lines::{Lines, MOST_EXAMPLE};
use super::open::open;
use super::{DataError, csv, jsonl, split};
use crate::Control;

/// Names of the built-in data sets.
pub const BUILTIN: &[&str] = &["which-book", "error-codes", "rust-docs"];

/// Prompt template of the built-in classification data set.
const WHICH_BOOK_TEMPLATE: &str = "{text}\nThis is from:";

/// The format of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Jsonl,
    /// A table with this delimiter.
    Table(char),
    Txt,
}

/// The folder of the built-in data sets: `$GRAFT_DATA`, or the folder `assets` of this crate.
pub fn assets() -> PathBuf {
    std::env::var_os("GRAFT_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets"), PathBuf::from)
}

/// The built-in data set of that name; `None` if there is no such set.
///
/// # Errors
/// [`DataError`] when its file is missing or damaged.
pub fn builtin(name: &str) -> Result<Option<Dataset>, DataError> {
    builtin_with(name, &Settings::default())
}

/// [`builtin`] with keys of `%data load`, such as a template.
///
/// # Errors
/// As [`builtin`].
pub fn builtin_with(name: &str, settings: &Settings) -> Result<Option<Dataset>, DataError> {
    if !BUILTIN.contains(&name) {
        return Ok(None);
    }
    let path = assets().join(format!("{name}.jsonl"));
    let mut settings = settings.clone();
    settings.values.remove("format");
    file(&path, name, &settings, (WHICH_BOOK_TEMPLATE, &Control::new())).map(Some)
}

/// Reads a jsonl, csv, tsv or txt file, which may be compressed with gzip. The settings are the
/// keys of `%data load`; `control` stops the reading.
///
/// # Errors
/// [`DataError`] with file and line.
pub fn load_file(
    path: &Path,
    settings: &Settings,
    control: &Control,
) -> Result<Dataset, DataError> {
    let stem = unpacked(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = settings.text(DATA, "name").unwrap_or(stem);
    file(path, &name, settings, (split::TEMPLATE, control))
}

/// Reads examples from a text, in any of the file formats.
///
/// # Errors
/// [`DataError`] with the line of the text.
/// # Examples
/// ```
/// use graft_spec::Settings;
/// use graft_train::data::{Kind, parse_inline};
///
/// let csv = "text,label\nfine day,good\nawful day,bad\n";
/// let data = parse_inline("moods", csv, &Settings::default())?;
/// assert_eq!(data.kind, Kind::Labels(vec!["bad".to_owned(), "good".to_owned()]));
/// assert_eq!(data.train[0].completion, " good");
/// # Ok::<(), graft_train::data::DataError>(())
/// ```
pub fn parse_inline(name: &str, text: &str, settings: &Settings) -> Result<Dataset, DataError> {
    load_text(name, text, settings, &Control::new())
}

/// As [`parse_inline`]; `control` stops the reading.
///
/// # Errors
/// As [`parse_inline`], and [`DataError::Interrupted`].
pub fn load_text(
    name: &str,
    text: &str,
    settings: &Settings,
    control: &Control,
) -> Result<Dataset, DataError> {
    let mut lines = Lines::new(Box::new(text.as_bytes()), name, control);
    let collected = collect(&mut lines, ("", &[]), settings, u64::MAX)?;
    split::dataset(name, name, collected, settings, split::TEMPLATE)
}

fn file(
    path: &Path,
    name: &str,
    settings: &Settings,
    (template, control): (&str, &Control),
) -> Result<Dataset, DataError> {
    let source_name = path.display().to_string();
    let opened = open(path, settings.text(DATA, "format").as_deref() == Some("txt"))?;
    let decoded = opened.decoded.clone();
    let (text, unchanged, budget) = opened.into_parts();
    let ending =
        unpacked(path).extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let collected = collect(
        &mut Lines::new(text, &source_name, control),
        (&ending, &decoded),
        settings,
        budget,
    );
    // A file that changed may be cut anywhere, so this error is reported first.
    unchanged.check()?;
    split::dataset(name, &source_name, collected?, settings, template)
}

/// The path without the extension of a compressed file.
fn unpacked(path: &Path) -> PathBuf {
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("gz") => path.with_extension(""),
        _ => path.to_owned(),
    }
}

/// Reads the records of a text. `decoded` lists the decoding steps of the file.
fn collect(
    lines: &mut Lines<'_>,
    (ending, decoded): (&str, &[&str]),
    settings: &Settings,
    budget: u64,
) -> Result<Collected, DataError> {
    let head = first_line(lines.head()?);
    let (format, asked) = (format(&head, ending, settings), settings.text(DATA, "format"));
    let mut collector = Collector::new(lines.name(), format == Format::Jsonl, budget);
    match format {
        Format::Jsonl => jsonl::parse(lines, &mut collector)?,
        Format::Table(delimiter) => csv::parse(lines, delimiter, &mut collector)?,
        Format::Txt => passages(lines, &mut collector)?,
    }
    if format == Format::Txt && asked.as_deref() != Some("txt") {
        let looks_like = if head.starts_with('{') {
            Some("jsonl")
        } else {
            csv::is_header(&head).then_some("csv")
        };
        looks_like
            .into_iter()
            .for_each(|format| collector.note(format!("the first line looks like {format}, but the file was read as txt; use format={format} to read its fields")));
    }
    collector.finish(described(format, ending, decoded))
}

/// The first line that is not blank, or the part of it that has been read.
fn first_line(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// The format set by the user, else that of the extension, else that of the first line.
fn format(first: &str, ending: &str, settings: &Settings) -> Format {
    let table = |usual: char| Format::Table(csv::delimiter(first, Some(usual)).unwrap_or(usual));
    match (settings.text(DATA, "format").as_deref(), ending) {
        (Some("jsonl"), _) => Format::Jsonl,
        (Some("csv"), _) => table(','),
        (Some("tsv"), _) => table('\t'),
        (Some("txt"), _) => Format::Txt,
        (_, "jsonl" | "ndjson" | "json") => Format::Jsonl,
        (_, "csv") => table(','),
        (_, "tsv" | "tab") => table('\t'),
        (_, "txt" | "md") => Format::Txt,
        _ if first.starts_with('{') => Format::Jsonl,
        _ if csv::is_header(first) => table(','),
        _ => Format::Txt,
    }
}

/// A description such as `csv (gzip)` or ``csv with `;` between the fields``.
fn described(format: Format, ending: &str, decoded: &[&str]) -> String {
    let name = match format {
        Format::Jsonl => "jsonl".to_owned(),
        Format::Table('\t') if ending == "csv" => "csv with tabs between the fields".to_owned(),
        Format::Table('\t') => "tsv".to_owned(),
        Format::Table(',') => "csv".to_owned(),
        Format::Table(other) => format!("csv with `{other}` between the fields"),
        Format::Txt => "txt, one example per passage between blank lines".to_owned(),
    };
    if decoded.is_empty() { name } else { format!("{name} ({})", decoded.join(", ")) }
}

/// Reads plain text: an example is a passage between blank lines.
fn passages(lines: &mut Lines<'_>, collector: &mut Collector<'_>) -> Result<(), DataError> {
    let mut passage = String::new();
    let mut begin = 1;
    loop {
        let line = lines.next()?.map(str::trim_end);
        match line {
            Some(line) if !line.is_empty() => {
                if !passage.is_empty() {
                    passage.push('\n');
                }
                passage.push_str(line);
            }
            _ if !passage.is_empty() => collector.text(begin, std::mem::take(&mut passage))?,
            _ => {}
        }
        let is_last = line.is_none();
        if is_last {
            return Ok(());
        }
        if passage.len() > MOST_EXAMPLE {
            return Err(DataError::LongLine {
                source_name: lines.name().to_owned(),
                line: lines.number(),
                most: MOST_EXAMPLE,
            });
        }
        if passage.is_empty() {
            begin = lines.number() + 1;
        }
    }
}

#[cfg(test)]
mod tests;
