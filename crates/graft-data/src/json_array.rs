//! A JSON array of objects, and objects that are spread over several lines. The elements are found
//! one by one, so that the file is never in memory as a whole, and a bad element is named with its
//! line.

use std::path::PathBuf;

use super::DataError;
use super::collect::Collector;
use super::json_row::row;
use super::lines::{Lines, MOST_EXAMPLE};
use super::place::Place;

/// Bytes read between two checks for an interrupt.
const CHECKED: usize = 1 << 20;

/// Reads the elements of an array, or a sequence of objects, into `collector`.
pub(crate) fn parse(lines: Lines<'_>, collector: &mut Collector<'_>) -> Result<(), DataError> {
    let mut elements = Elements::new(lines);
    while let Some(element) = elements.next()? {
        let place = Place::Line(elements.begin);
        let flow = match parsed(&element) {
            Ok(text) => match row(text, collector.mapping()) {
                Ok(row) => collector.row(place, row)?,
                Err(problem) => {
                    let error = collector.malformed(place, problem);
                    collector.bad(error)?
                }
            },
            Err(problem) => {
                let error = collector.malformed(place, problem.to_owned());
                collector.bad(error)?
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn parsed(element: &[u8]) -> Result<&str, &'static str> {
    if element.contains(&0) {
        return Err("it contains control characters: the file is binary or damaged");
    }
    std::str::from_utf8(element).map(str::trim).map_err(|_| "it is not valid UTF-8")
}

/// Splits a stream into the elements of the outermost array, or into objects.
struct Elements<'a> {
    lines: Lines<'a>,
    line: usize,
    /// The line on which the current element begins.
    begin: usize,
    in_array: bool,
    has_begun: bool,
    has_ended: bool,
    unchecked: usize,
}

/// The position within an element.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Scan {
    /// Reads a byte and returns whether the element ends before it (`Some(false)`) or with it
    /// (`Some(true)`).
    fn byte(&mut self, byte: u8, is_empty: bool) -> Option<bool> {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return None;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b',' | b']' if self.depth == 0 => return Some(false),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return (self.depth == 0).then_some(true);
            }
            _ if self.depth == 0 && !is_empty && byte.is_ascii_whitespace() => return Some(false),
            _ => {}
        }
        None
    }
}

impl<'a> Elements<'a> {
    fn new(lines: Lines<'a>) -> Self {
        Self {
            lines,
            line: 1,
            begin: 1,
            in_array: false,
            has_begun: false,
            has_ended: false,
            unchecked: 0,
        }
    }

    /// The next element.
    fn next(&mut self) -> Result<Option<Vec<u8>>, DataError> {
        if !self.separator()? {
            return Ok(None);
        }
        self.begin = self.line;
        let mut element = Vec::new();
        let mut scan = Scan::default();
        while let Some(byte) = self.peek()? {
            let end = scan.byte(byte, element.is_empty());
            if end != Some(false) {
                self.advance(byte)?;
                element.push(byte);
            }
            if end.is_some() {
                return Ok(Some(element));
            }
            if element.len() > MOST_EXAMPLE {
                return Err(DataError::LongLine {
                    source_name: self.lines.name().to_owned(),
                    place: Place::Line(self.begin),
                    most: MOST_EXAMPLE,
                });
            }
        }
        if scan.depth > 0 || scan.in_string {
            return Err(self.truncated());
        }
        Ok(Some(element))
    }

    /// Skips to the next element; false after the last.
    fn separator(&mut self) -> Result<bool, DataError> {
        let mut commas = 0;
        while let Some(byte) = self.peek()? {
            match byte {
                _ if byte.is_ascii_whitespace() => {}
                b'[' if !self.has_begun => self.in_array = true,
                b']' if self.in_array && !self.has_ended => self.has_ended = true,
                b',' if self.in_array && !self.has_ended && commas == 0 => commas += 1,
                _ if self.has_ended || byte == b',' || byte == b']' => {
                    let problem = format!("unexpected `{}` between two examples", byte as char);
                    return Err(self.malformed(problem));
                }
                _ => {
                    self.has_begun = true;
                    return Ok(true);
                }
            }
            self.has_begun |= byte == b'[';
            self.advance(byte)?;
        }
        if self.in_array && !self.has_ended { Err(self.truncated()) } else { Ok(false) }
    }

    fn peek(&mut self) -> Result<Option<u8>, DataError> {
        let path = self.lines.name();
        let buffer = self
            .lines
            .source()
            .fill_buf()
            .map_err(|source| DataError::Io { path: PathBuf::from(path), source })?;
        Ok(buffer.first().copied())
    }

    fn advance(&mut self, byte: u8) -> Result<(), DataError> {
        self.lines.source().consume(1);
        self.line += usize::from(byte == b'\n');
        self.unchecked += 1;
        if self.unchecked == CHECKED {
            self.unchecked = 0;
            self.lines.check_stop(self.line)?;
        }
        Ok(())
    }

    fn truncated(&self) -> DataError {
        self.malformed("the JSON ends in the middle of an example or of the list".to_owned())
    }

    fn malformed(&self, problem: String) -> DataError {
        DataError::Malformed {
            source_name: self.lines.name().to_owned(),
            place: Place::Line(self.line),
            problem,
        }
    }
}

#[cfg(test)]
mod tests;
