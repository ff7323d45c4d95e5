//! The format of a text: the one that the user asks for, else that of its content, else that of the
//! file name.

use std::path::{Path, PathBuf};

use super::csv::{Dialect, Quoting};
use super::options::{ReadOptions, TextUnit};
use super::plain_text;
use super::sniff;

/// The format of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object per line.
    Jsonl,
    /// A JSON array, or objects over several lines.
    Json,
    Table(Dialect),
    Txt(TextUnit),
}

/// The path without the extension of a compressed file.
pub(crate) fn unpacked(path: &Path) -> PathBuf {
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("gz") => path.with_extension(""),
        _ => path.to_owned(),
    }
}

/// The extension of a path without that of a compressed file, in lower case.
pub(crate) fn extension(path: &Path) -> String {
    unpacked(path).extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// The format of a text that begins with `head`.
pub(crate) fn of(head: &str, extension: &str, options: &ReadOptions) -> Format {
    let first = first_line(head);
    let table = |usual: u8| {
        let usual_dialect = Dialect {
            delimiter: usual,
            quoting: if usual == b'\t' { Quoting::None } else { Quoting::Doubled },
        };
        let found = sniff::dialect(head, Some(usual), &options.mapping);
        Format::Table(found.unwrap_or(usual_dialect))
    };
    let txt = || Format::Txt(options.unit.unwrap_or_else(|| plain_text::unit(head)));
    match (options.format.as_deref(), extension) {
        (Some("jsonl"), _) => Format::Jsonl,
        (Some("json"), _) => Format::Json,
        (Some("csv"), _) => table(b','),
        (Some("tsv"), _) => table(b'\t'),
        (Some("txt"), _) => txt(),
        (_, "csv" | "tsv" | "tab") if is_json(first) => json(head, first),
        (_, "jsonl" | "ndjson" | "json")
            if is_json(first) || !sniff::is_header(first, &options.mapping) =>
        {
            json(head, first)
        }
        (_, "csv") => table(b','),
        (_, "tsv" | "tab") => table(b'\t'),
        (_, "txt" | "md") => txt(),
        _ if is_json(first) => json(head, first),
        _ if options.unit.is_some() => txt(),
        _ if sniff::is_header(first, &options.mapping) => table(b','),
        _ => txt(),
    }
}

/// A note about a text that looks like another format than the one it was read as.
pub(crate) fn doubt(format: Format, head: &str, options: &ReadOptions) -> Option<String> {
    if !matches!(format, Format::Txt(_)) || options.format.as_deref() == Some("txt") {
        return None;
    }
    let first = first_line(head);
    let looks_like = if first.starts_with('{') {
        "jsonl"
    } else if sniff::is_header(first, &options.mapping) {
        "csv"
    } else {
        return None;
    };
    Some(format!(
        "the first line looks like {looks_like}, but the file was read as txt; use format={looks_like} to read its fields"
    ))
}

/// The formats of several files, such as `3 files, jsonl`.
pub(crate) fn listed(formats: &[String]) -> String {
    let mut different: Vec<&str> = Vec::new();
    for format in formats {
        if !different.contains(&format.as_str()) {
            different.push(format);
        }
    }
    match formats.len() {
        0 | 1 => different.concat(),
        count => format!("{count} files, {}", different.join(", ")),
    }
}

impl Format {
    /// A description such as `csv (gzip)` or ``csv with `;` between the fields``.
    pub(crate) fn described(self, extension: &str, decoded: &[&str]) -> String {
        let name = match self {
            Self::Jsonl => "jsonl".to_owned(),
            Self::Json => "json".to_owned(),
            Self::Table(dialect) => dialect.described(extension),
            Self::Txt(unit) => unit.described().to_owned(),
        };
        if decoded.is_empty() { name } else { format!("{name} ({})", decoded.join(", ")) }
    }
}

impl Dialect {
    fn described(self, extension: &str) -> String {
        let name = match self.delimiter {
            b'\t' if extension == "csv" => "csv with tabs between the fields".to_owned(),
            b'\t' => "tsv".to_owned(),
            b',' => "csv".to_owned(),
            other => format!("csv with `{}` between the fields", other as char),
        };
        match (self.quoting, self.delimiter) {
            (Quoting::Backslash, _) => format!("{name} with quotes escaped by backslashes"),
            (Quoting::Doubled, b'\t') => format!("{name} with quoted fields"),
            (Quoting::None, delimiter) if delimiter != b'\t' => {
                format!("{name} without quoted fields")
            }
            _ => name,
        }
    }
}

/// The first line that is not blank, or the part of it that has been read.
fn first_line(head: &str) -> &str {
    head.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim()
}

fn is_json(first: &str) -> bool {
    first.starts_with('{')
        || (first.starts_with('[') && (first == "[" || first[1..].trim_start().starts_with('{')))
}

/// JSON Lines unless the file is an array or its first object continues on the next line.
fn json(head: &str, first: &str) -> Format {
    if first.starts_with('[') {
        return Format::Json;
    }
    let rest = head.trim_start();
    let continues = rest.get(first.len()..).is_some_and(|rest| rest.starts_with(['\n', '\r']));
    let is_whole =
        serde_json::from_str::<serde::de::IgnoredAny>(first).is_err_and(|error| error.is_eof());
    // An object that is cut in its middle on one line is damaged, not spread over lines.
    let is_spread = matches!(first, "{") || first.ends_with([',', '{', '[']);
    if continues && is_whole && is_spread { Format::Json } else { Format::Jsonl }
}
