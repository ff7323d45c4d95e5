//! The numbered lines of a text, with a limited length.

use std::io::{BufRead, Read};
use std::path::PathBuf;

use super::DataError;
use crate::Control;

/// Most bytes of one example.
pub(super) const MOST_EXAMPLE: usize = 16 << 20;

/// Reads UTF-8 line by line; at most one line is in memory.
pub(super) struct Lines<'a> {
    source: Box<dyn BufRead + 'a>,
    name: &'a str,
    control: &'a Control,
    line: Vec<u8>,
    number: usize,
    /// Number of bytes before the line.
    before: u64,
}

impl<'a> Lines<'a> {
    /// The lines of `source`. Errors name it `name`; `control` stops the reading.
    pub(super) fn new(source: Box<dyn BufRead + 'a>, name: &'a str, control: &'a Control) -> Self {
        Self { source, name, control, line: Vec::new(), number: 0, before: 0 }
    }

    /// The start of the text, without consuming it.
    ///
    /// # Errors
    /// [`DataError::Io`] when the source cannot be read.
    pub(super) fn head(&mut self) -> Result<&[u8], DataError> {
        let path = self.name;
        self.source.fill_buf().map_err(|source| DataError::Io { path: PathBuf::from(path), source })
    }

    /// The next line with its line end; `None` after the last.
    ///
    /// # Errors
    /// [`DataError::LongLine`], [`DataError::NotUtf8`], [`DataError::Binary`],
    /// [`DataError::Interrupted`], and [`DataError::Io`] when the source cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<&str>, DataError> {
        let source_name = || self.name.to_owned();
        if self.control.is_stopped() {
            return Err(DataError::Interrupted { source_name: source_name(), line: self.number });
        }
        self.before += self.line.len() as u64;
        self.line.clear();
        let most = MOST_EXAMPLE as u64 + 1;
        let read = self.source.by_ref().take(most).read_until(b'\n', &mut self.line);
        self.number += 1;
        let line = self.number;
        match read.map_err(|source| DataError::Io { path: PathBuf::from(self.name), source })? {
            0 => return Ok(None),
            length if length as u64 == most => {
                return Err(DataError::LongLine {
                    source_name: source_name(),
                    line,
                    most: MOST_EXAMPLE,
                });
            }
            _ => {}
        }
        self.text().map(Some)
    }

    /// The last line as text.
    fn text(&self) -> Result<&str, DataError> {
        let line = self.number;
        match std::str::from_utf8(&self.line) {
            _ if self.line.contains(&0) => {
                Err(DataError::Binary { source_name: self.name.to_owned(), line })
            }
            Ok(text) => Ok(text),
            Err(_)
                if self
                    .line
                    .iter()
                    .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) =>
            {
                Err(DataError::Binary { source_name: self.name.to_owned(), line })
            }
            Err(error) => Err(DataError::NotUtf8 {
                source_name: self.name.to_owned(),
                line,
                byte: self.before + error.valid_up_to() as u64,
            }),
        }
    }

    /// Number of the last line read, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The name of the text in errors.
    pub(super) fn name(&self) -> &'a str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_spec::Hint;

    fn error(bytes: &[u8]) -> DataError {
        let control = Control::new();
        let mut lines = Lines::new(Box::new(bytes), "a.txt", &control);
        loop {
            match lines.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(error) => return error,
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_binary_or_not_utf_8_is_named() {
        let long = vec![b'a'; MOST_EXAMPLE + 2];
        assert_eq!(
            error(&[b"one\n", &long[..]].concat()).to_string(),
            "`a.txt` line 2 is longer than 16 MB, the limit for one example"
        );
        assert_eq!(error(b"one\ntwo\0\n").code(), "data::binary");
        assert_eq!(error(b"one\n\x01\xff\n").code(), "data::binary");
        assert_eq!(
            error(b"one\ncaf\xe9\n").to_string(),
            "`a.txt` line 2 is not valid UTF-8 (byte 7 of the file)"
        );
    }

    #[test]
    fn an_interrupt_ends_the_reading_of_an_endless_text() {
        let control = Control::new();
        let endless = std::io::BufReader::new(std::io::repeat(b'\n'));
        let mut lines = Lines::new(Box::new(endless), "a.txt", &control);
        assert_eq!(lines.next().expect("a line"), Some("\n"));
        control.stop();
        assert_eq!(lines.next().expect_err("stopped").code(), "data::interrupted");
    }
}
