//! Reads untrusted files line by line, with a limited line length.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result};

/// Longest line that is read, in bytes: enough for a header with examples from a cell. Longer lines
/// are skipped.
pub(super) const LONGEST: u64 = 16 << 20;

/// The lines of a file, without line ends.
pub(super) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    /// Number of the last line read, from 1.
    pub(super) number: u64,
}

/// One line.
pub(super) enum Line<'a> {
    /// The bytes of the line.
    Whole(&'a [u8]),
    /// The line is longer than [`LONGEST`] and was skipped.
    TooLong,
}

impl Lines {
    pub(super) fn new(file: File) -> Self {
        Self { reader: BufReader::with_capacity(1 << 16, file), line: Vec::new(), number: 0 }
    }

    /// The next line; `None` at the end of the file, or when `is_stopped` returns true within a
    /// long line.
    pub(super) fn next(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<Option<Line<'_>>> {
        self.line.clear();
        if self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some(Line::Whole(&self.line)));
        }
        if (self.line.len() as u64) < LONGEST {
            return Ok(Some(Line::Whole(&self.line)));
        }
        self.line = Vec::new();
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = buffer.len();
            self.reader.consume(end.map_or(length, |end| end + 1));
            if end.is_some() || length == 0 {
                return Ok(Some(Line::TooLong));
            }
            if is_stopped() {
                return Ok(None);
            }
        }
    }
}
