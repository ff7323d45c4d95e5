//! The numbered lines of a text, with a limited length.

use std::io::{BufRead, Read};
use std::path::PathBuf;

use super::DataError;
use super::place::Place;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most bytes of one example.
pub(crate) const MOST_EXAMPLE: usize = 16 << 20;

/// Reads UTF-8 line by line; at most one line is in memory.
pub(crate) struct Lines<'a> {
    source: Box<dyn BufRead + 'a>,
    name: &'a str,
    stop: &'a AtomicBool,
    line: Vec<u8>,
    number: usize,
    /// Number of bytes before the line.
    before: u64,
}

impl<'a> Lines<'a> {
    /// The lines of `source`. Errors name it `name`; `stop` ends the reading.
    pub(crate) fn new(source: Box<dyn BufRead + 'a>, name: &'a str, stop: &'a AtomicBool) -> Self {
        Self { source, name, stop, line: Vec::new(), number: 0, before: 0 }
    }

    /// The start of the text, without consuming it.
    ///
    /// # Errors
    /// [`DataError::Io`] when the source cannot be read.
    pub(crate) fn head(&mut self) -> Result<&[u8], DataError> {
        let path = self.name;
        self.source.fill_buf().map_err(|source| DataError::Io { path: PathBuf::from(path), source })
    }

    /// The next line with its line end; `None` after the last.
    ///
    /// # Errors
    /// [`DataError::LongLine`], [`DataError::NotUtf8`], [`DataError::Binary`],
    /// [`DataError::Interrupted`], and [`DataError::Io`] when the source cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<&str>, DataError> {
        let source_name = || self.name.to_owned();
        self.check_stop(self.number)?;
        self.before += self.line.len() as u64;
        self.line.clear();
        let most = MOST_EXAMPLE as u64 + 1;
        let read = self.source.by_ref().take(most).read_until(b'\n', &mut self.line);
        self.number += 1;
        let line = self.number;
        match read.map_err(|source| DataError::Io { path: PathBuf::from(self.name), source })? {
            0 => return Ok(None),
            length if length as u64 == most => {
                self.skip_line()?;
                return Err(DataError::LongLine {
                    source_name: source_name(),
                    place: Place::Line(line),
                    most: MOST_EXAMPLE,
                });
            }
            _ => {}
        }
        self.text().map(Some)
    }

    /// Reads to the end of a line that is too long, so that the next line can be read.
    fn skip_line(&mut self) -> Result<(), DataError> {
        loop {
            self.check_stop(self.number)?;
            let buffer = self
                .source
                .fill_buf()
                .map_err(|source| DataError::Io { path: PathBuf::from(self.name), source })?;
            let end = buffer.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let used = end.unwrap_or(buffer.len());
            let is_last = end.is_some() || buffer.is_empty();
            self.source.consume(used);
            self.before += used as u64;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Returns an error if the user has stopped the reading.
    ///
    /// # Errors
    /// [`DataError::Interrupted`].
    pub(crate) fn check_stop(&self, line: usize) -> Result<(), DataError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(DataError::Interrupted { source_name: self.name.to_owned(), line });
        }
        Ok(())
    }

    /// The bytes that have not been read as lines.
    pub(crate) fn source(&mut self) -> &mut (dyn BufRead + 'a) {
        &mut *self.source
    }

    /// The last line as text.
    fn text(&self) -> Result<&str, DataError> {
        let place = Place::Line(self.number);
        match std::str::from_utf8(&self.line) {
            _ if self.line.contains(&0) => {
                Err(DataError::Binary { source_name: self.name.to_owned(), place })
            }
            Ok(text) => Ok(text),
            Err(_)
                if self
                    .line
                    .iter()
                    .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) =>
            {
                Err(DataError::Binary { source_name: self.name.to_owned(), place })
            }
            Err(error) => Err(DataError::NotUtf8 {
                source_name: self.name.to_owned(),
                place,
                byte: self.before + error.valid_up_to() as u64,
            }),
        }
    }

    /// Number of the last line read, from 1.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// The name of the text in errors.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_spec::Hint;

    fn error(bytes: &[u8]) -> DataError {
        let stop = AtomicBool::new(false);
        let mut lines = Lines::new(Box::new(bytes), "a.txt", &stop);
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
        let stop = AtomicBool::new(false);
        let endless = std::io::BufReader::new(std::io::repeat(b'\n'));
        let mut lines = Lines::new(Box::new(endless), "a.txt", &stop);
        assert_eq!(lines.next().expect("a line"), Some("\n"));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(lines.next().expect_err("stopped").code(), "data::interrupted");
    }
}
