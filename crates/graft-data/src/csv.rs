//! Tables with a header: comma-separated values as in RFC 4180 (quoted fields may contain commas,
//! line ends and doubled quotes), and tab-separated values.
//!
//! The fields are parsed by the crate `csv-core`, the parser of `csv`. It is fed line by line,
//! which `csv` does not allow: errors then name the line, an unclosed quote is found, and memory is
//! limited.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::DataError;
use super::collect::Collector;
use super::lines::{Lines, MOST_EXAMPLE};
use super::place::Place;
use super::record::Field;
use super::roles::is_known;
use std::borrow::Cow;

/// Most columns of a table, and most fields of a JSON object.
pub(crate) const MOST_FIELDS: usize = 10_000;

/// How the fields of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The character between two fields.
    pub(crate) delimiter: u8,
    /// How a field contains its delimiter.
    pub(crate) quoting: Quoting,
}

/// How a field contains its delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quoting {
    /// In quotes, with quotes inside doubled.
    Doubled,
    /// In quotes, with a backslash before quotes inside.
    Backslash,
    /// Not at all: a quote is a letter.
    None,
}

/// Reads a table into `collector`.
pub(crate) fn parse(
    lines: &mut Lines<'_>,
    dialect: Dialect,
    collector: &mut Collector<'_>,
) -> Result<(), DataError> {
    let mut rows = Rows::new(dialect);
    let Some((line, header)) = rows.next(lines)? else { return Ok(()) };
    let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    check_header(&header, Place::Line(line), collector)?;
    loop {
        let (line, row) = match rows.next(lines) {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(error) => {
                if collector.bad(error)?.is_break() {
                    return Ok(());
                }
                // The parser may be in the middle of a row.
                rows = Rows::new(dialect);
                continue;
            }
        };
        let place = Place::Line(line);
        let flow = if row.len() == header.len() {
            let names = header.iter().map(|name| Cow::Borrowed(name.as_str()));
            let fields = row.into_iter().map(|text| Field::Text(Cow::Owned(text)));
            collector.row(place, names.zip(fields).collect())?
        } else {
            let problem =
                format!("it has {} fields, but the header has {}", row.len(), header.len());
            let error = collector.malformed(place, problem);
            collector.bad(error)?
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

fn check_header(
    header: &[String],
    place: Place,
    collector: &Collector<'_>,
) -> Result<(), DataError> {
    let is_twice =
        |(index, name): &(usize, &String)| is_known(name) && header[..*index].contains(name);
    match header.iter().enumerate().find(is_twice) {
        Some((_, name)) => {
            Err(collector.malformed(place, format!("the header has two columns `{name}`")))
        }
        None => Ok(()),
    }
}

impl Dialect {
    /// The parser of this dialect.
    pub(crate) fn parser(self) -> Reader {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(self.delimiter);
        match self.quoting {
            Quoting::Doubled => {}
            Quoting::Backslash => {
                builder.escape(Some(b'\\')).double_quote(false);
            }
            Quoting::None => {
                builder.quoting(false);
            }
        }
        builder.build()
    }
}

fn lines_name(lines: &Lines<'_>) -> String {
    lines.name().to_owned()
}

/// The rows of a table.
enum Rows {
    Comma(Box<Quoted>),
    Tab,
}

impl Rows {
    fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect { delimiter: b'\t', quoting: Quoting::None } => Self::Tab,
            other => Self::Comma(Box::new(Quoted::new(other))),
        }
    }

    /// The next row and the line that it starts on; blank lines are skipped.
    fn next(&mut self, lines: &mut Lines<'_>) -> Result<Option<(usize, Vec<String>)>, DataError> {
        match self {
            Self::Comma(quoted) => quoted.next(lines),
            Self::Tab => tabbed(lines),
        }
    }
}

/// Tab-separated values have no quotes, but spreadsheets write them: a field that is quoted as a
/// whole loses its quotes, other fields keep theirs.
fn tabbed(lines: &mut Lines<'_>) -> Result<Option<(usize, Vec<String>)>, DataError> {
    loop {
        let Some(line) = lines.next()? else { return Ok(None) };
        let line = line.trim_end_matches(['\n', '\r']);
        if line.trim().is_empty() {
            continue;
        }
        let count = line.split('\t').take(MOST_FIELDS + 1).count();
        let row = line.split('\t').take(MOST_FIELDS).map(unquoted).collect();
        if count > MOST_FIELDS {
            return Err(too_many(lines));
        }
        return Ok(Some((lines.number(), row)));
    }
}

fn unquoted(field: &str) -> String {
    let inside = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let is_whole = |inside: &&str| !inside.replace("\"\"", "").contains('"');
    inside.filter(is_whole).map_or_else(|| field.to_owned(), |inside| inside.replace("\"\"", "\""))
}

fn too_many(lines: &Lines<'_>) -> DataError {
    DataError::TooManyFields {
        source_name: lines_name(lines),
        place: Place::Line(lines.number()),
        most: MOST_FIELDS,
    }
}

/// Rows whose fields may be quoted. The parser gets one line at a time, so that the line of a row
/// is known and an unclosed quote is found.
struct Quoted {
    parser: Reader,
    /// The current line, and the number of its bytes that are parsed.
    line: (Vec<u8>, usize),
    fields: Vec<u8>,
    ends: Vec<usize>,
}

impl Quoted {
    fn new(dialect: Dialect) -> Self {
        let parser = dialect.parser();
        Self { parser, line: (Vec::new(), 0), fields: vec![0; 1024], ends: vec![0; 32] }
    }

    fn next(&mut self, lines: &mut Lines<'_>) -> Result<Option<(usize, Vec<String>)>, DataError> {
        let mut begin = None;
        let mut written = 0;
        let mut ended = 0;
        loop {
            if self.line.1 == self.line.0.len() && !self.feed(lines, begin)? {
                return Ok(None);
            }
            begin.get_or_insert(lines.number());
            let (result, read, wrote, ends) = self.parser.read_record(
                &self.line.0[self.line.1..],
                &mut self.fields[written..],
                &mut self.ends[ended..],
            );
            (self.line.1, written, ended) = (self.line.1 + read, written + wrote, ended + ends);
            match result {
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MOST_FIELDS => {
                    return Err(too_many(lines));
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty if written > MOST_EXAMPLE => {
                    return Err(open_quote(lines, begin));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => {
                    // A carriage return ends a row; the line feed after it is skipped.
                    if self.line.0[self.line.1..].iter().all(u8::is_ascii_whitespace) {
                        self.line.1 = self.line.0.len();
                    }
                    if ended > 0 {
                        return Ok(Some((begin.unwrap_or_default(), self.row(ended))));
                    }
                }
            }
        }
    }

    /// Reads the next line, with its line end; returns false after the last. Only a quoted field
    /// continues on the next line.
    fn feed(&mut self, lines: &mut Lines<'_>, begin: Option<usize>) -> Result<bool, DataError> {
        loop {
            let Some(line) = lines.next()? else {
                return if begin.is_some() { Err(open_quote(lines, begin)) } else { Ok(false) };
            };
            if begin.is_none() && line.trim().is_empty() {
                continue;
            }
            self.line.0.clear();
            self.line.0.extend_from_slice(line.as_bytes());
            if !line.ends_with('\n') {
                self.line.0.push(b'\n');
            }
            self.line.1 = 0;
            return Ok(true);
        }
    }

    fn row(&self, ended: usize) -> Vec<String> {
        let ends = &self.ends[..ended];
        let begins = std::iter::once(0).chain(ends.iter().copied());
        begins
            .zip(ends)
            .map(|(begin, end)| String::from_utf8_lossy(&self.fields[begin..*end]).into_owned())
            .collect()
    }
}

fn open_quote(lines: &Lines<'_>, begin: Option<usize>) -> DataError {
    DataError::OpenQuote {
        source_name: lines_name(lines),
        place: Place::Line(begin.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
