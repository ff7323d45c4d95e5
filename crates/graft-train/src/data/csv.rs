//! Tables with a header: comma-separated values as in RFC 4180 (quoted fields may contain commas,
//! line ends and doubled quotes), and tab-separated values.
//!
//! The fields are parsed by the crate `csv-core`, the parser of `csv`. It is fed line by line,
//! which `csv` does not allow: errors then name the line, an unclosed quote is found, and memory is
//! limited.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::DataError;
use super::collect::Collector;
use super::columns::Role;
use super::lines::{Lines, MOST_EXAMPLE};
use super::record::Field;

/// Most columns of a table, and most fields of a JSON object.
pub(super) const MOST_FIELDS: usize = 10_000;

/// Delimiters, the more likely ones first.
const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];

/// The delimiter of a header, if it has a column of a known name.
pub(super) fn delimiter(header: &str, preferred: Option<char>) -> Option<char> {
    let known = |delimiter: &char| {
        columns(header, *delimiter)
            .iter()
            .any(|name| Role::of(name).is_some_and(|role| role != Role::Split))
    };
    preferred.filter(known).or_else(|| DELIMITERS.into_iter().find(known))
}

/// Whether a first line is the header of a table, judged by its column names alone.
pub(super) fn is_header(line: &str) -> bool {
    let named = |delimiter: char| {
        columns(line, delimiter)
            .iter()
            .any(|name| ["text", "prompt"].iter().any(|known| name.eq_ignore_ascii_case(known)))
    };
    DELIMITERS.into_iter().any(named)
}

fn columns(header: &str, delimiter: char) -> Vec<&str> {
    header.split(delimiter).map(|name| name.trim().trim_matches('"').trim()).collect()
}

/// Reads a table into `collector`.
pub(super) fn parse(
    lines: &mut Lines<'_>,
    delimiter: char,
    collector: &mut Collector<'_>,
) -> Result<(), DataError> {
    let mut rows = Rows::new(delimiter);
    let Some((line, header)) = rows.next(lines)? else { return Ok(()) };
    let malformed =
        |line, problem| DataError::Malformed { source_name: lines_name(lines), line, problem };
    let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    if let Some(twice) = header
        .iter()
        .enumerate()
        .find(|(index, name)| Role::of(name).is_some() && header[..*index].contains(name))
    {
        return Err(malformed(line, format!("the header has two columns `{}`", twice.1)));
    }
    while let Some((line, row)) = rows.next(lines)? {
        if row.len() != header.len() {
            let problem =
                format!("it has {} fields, but the header has {}", row.len(), header.len());
            return Err(DataError::Malformed { source_name: lines_name(lines), line, problem });
        }
        collector
            .fields(line, header.iter().cloned().zip(row.into_iter().map(Field::Text)).collect())?;
    }
    Ok(())
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
    fn new(delimiter: char) -> Self {
        match delimiter {
            '\t' => Self::Tab,
            other => Self::Comma(Box::new(Quoted::new(other as u8))),
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
        line: lines.number(),
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
    fn new(delimiter: u8) -> Self {
        let parser = ReaderBuilder::new().delimiter(delimiter).build();
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
    let problem = "a quote is never closed".to_owned();
    DataError::Malformed {
        source_name: lines_name(lines),
        line: begin.unwrap_or_default(),
        problem,
    }
}

#[cfg(test)]
mod tests;
