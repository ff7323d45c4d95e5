//! The end of a cell's standard error, held back for a moment. If the cell fails, this text
//! contains its error, which is shown in the error output of the cell instead.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::panic_report;

/// How long text is held back.
pub(crate) const FLUSH_GRACE: Duration = Duration::from_millis(100);
/// Maximum number of bytes held back.
const MAX_HELD: usize = 64 << 10;

/// What a cell's standard error ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StderrEnd {
    /// Text of the cell.
    Text,
    /// A panic report, which is shown as the cell's error.
    Panic,
    /// An error message, which is shown as the cell's error.
    Error,
}

/// Text that may be the end of a cell's standard error.
#[derive(Default)]
pub(crate) struct StderrTail {
    held: Vec<u8>,
    since: Option<Instant>,
}

impl StderrTail {
    /// Adds text. Returns earlier text that has been held for [`FLUSH_GRACE`] or exceeds
    /// [`MAX_HELD`], to be shown.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let is_due = self.since.is_some_and(|since| since.elapsed() >= FLUSH_GRACE)
            || self.held.len() + bytes.len() > MAX_HELD;
        let shown = if is_due { self.take() } else { Vec::new() };
        self.held.extend_from_slice(bytes);
        self.since.get_or_insert_with(Instant::now);
        shown
    }

    /// Whether text is held back.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns all text held back.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.since = None;
        std::mem::take(&mut self.held)
    }

    /// Returns the text held back at the end of a cell, without the part that is shown as the
    /// cell's error.
    pub(crate) fn end(&mut self, end: StderrEnd) -> Vec<u8> {
        let held = self.take();
        if end == StderrEnd::Text {
            return held;
        }
        let text = String::from_utf8_lossy(&held);
        let rest = match panic_report::last(&text) {
            Some(report) if end == StderrEnd::Panic => {
                [&text[..report.range.start], &text[report.range.end..]].concat()
            }
            _ if end == StderrEnd::Panic => text.into_owned(),
            _ => text[..last_message(&text).start].to_owned(),
        };
        rest.into_bytes()
    }
}

/// The range of the last line of `stderr`, with the hint that may follow it on a line of its own.
pub(crate) fn last_message(stderr: &str) -> Range<usize> {
    let text = stderr.trim_end();
    let end = text.rfind("\nhint: ").unwrap_or(text.len());
    let start = text.get(..end).and_then(|head| head.rfind('\n')).map_or(0, |newline| newline + 1);
    start..text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_cell_that_succeeds_is_shown() {
        let mut tail = StderrTail::default();
        assert!(tail.push(b"thread 'a' panicked at src/lib.rs:1:1:\nboom\n").is_empty());
        assert!(tail.is_holding());
        assert!(tail.end(StderrEnd::Text).starts_with(b"thread"));
        assert!(!tail.is_holding());
    }

    #[test]
    fn the_tail_of_a_cell_that_fails_is_shown_without_its_error() {
        let mut tail = StderrTail::default();
        tail.push(b"warning\nno model is loaded\nhint: `%model load tiny`\n");
        assert_eq!(tail.end(StderrEnd::Error), b"warning\n");
        tail.push(b"a\n\nthread 'main' (7) panicked at src/lib.rs:1:1:\nboom\nnote: run with\nb\n");
        assert_eq!(tail.end(StderrEnd::Panic), b"a\nb\n");
        tail.push(b"no report\n");
        assert_eq!(tail.end(StderrEnd::Panic), b"no report\n");
    }

    #[test]
    fn much_text_is_not_held_back() {
        let mut tail = StderrTail::default();
        tail.push(&vec![b'a'; MAX_HELD]);
        assert_eq!(tail.push(b"b").len(), MAX_HELD);
    }
}
