//! Lines of a file that somebody else may have written: read one by one, each bounded.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result};

/// Longest line that is read, in bytes: room for a header with its examples. The rest of a longer one is skipped.
pub(super) const LONGEST: u64 = 16 << 20;

/// The lines of a file, without their ends.
pub(super) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    /// Number of the line read last, from 1.
    pub(super) number: u64,
}

/// One line.
pub(super) enum Line<'a> {
    /// Its bytes.
    Whole(&'a [u8]),
    /// It is longer than [`LONGEST`] and was skipped.
    TooLong,
}

impl Lines {
    pub(super) fn new(file: File) -> Self {
        Self { reader: BufReader::with_capacity(1 << 16, file), line: Vec::new(), number: 0 }
    }

    /// The next line; none at the end of the file, and when `is_stopped` says so in the middle of a long one.
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
            let (end, length) = (buffer.iter().position(|byte| *byte == b'\n'), buffer.len());
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
