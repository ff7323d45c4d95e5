//! The end of a cell's standard error, held back for a moment: when the cell fails, its last words are the error, which is shown as such.

use std::time::{Duration, Instant};

use super::errors;

/// For how long text is held back.
pub(crate) const HOLD: Duration = Duration::from_millis(100);
/// Most bytes that are held back.
const MOST: usize = 64 << 10;

/// What a cell's standard error ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// What the cell wrote itself.
    Text,
    /// A panic, which is shown as the cell's error.
    Panic,
    /// The message of an error, which is shown as the cell's error.
    Error,
}

/// Text that may be the cell's last.
#[derive(Default)]
pub(crate) struct StderrTail {
    held: Vec<u8>,
    since: Option<Instant>,
}

impl StderrTail {
    /// Adds text; what has waited long enough, or is too much to be an error's message, is given back to be shown.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let is_due = self.since.is_some_and(|since| since.elapsed() >= HOLD)
            || self.held.len() + bytes.len() > MOST;
        let shown = if is_due { self.take() } else { Vec::new() };
        self.held.extend_from_slice(bytes);
        self.since.get_or_insert_with(Instant::now);
        shown
    }

    /// Whether something is held back.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives up waiting.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.since = None;
        std::mem::take(&mut self.held)
    }

    /// The cell is over: what is to be shown besides its error.
    pub(crate) fn end(&mut self, last: Last) -> Vec<u8> {
        let held = self.take();
        match last {
            Last::Text => held,
            Last::Panic => errors::besides_panic(&String::from_utf8_lossy(&held)).into_bytes(),
            Last::Error => {
                errors::before_last_message(&String::from_utf8_lossy(&held)).into_bytes()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_cell_that_went_well_are_shown() {
        let mut words = StderrTail::default();
        assert!(words.push(b"thread 'a' panicked at src/lib.rs:1:1:\nboom\n").is_empty());
        assert!(words.is_holding());
        assert!(words.end(Last::Text).starts_with(b"thread"));
        assert!(!words.is_holding());
    }

    #[test]
    fn those_of_a_cell_that_failed_are_shown_without_its_error() {
        let mut words = StderrTail::default();
        words.push(b"warning\nno model is loaded\nhint: `%model load tiny`\n");
        assert_eq!(words.end(Last::Error), b"warning\n");
        words
            .push(b"a\n\nthread 'main' (7) panicked at src/lib.rs:1:1:\nboom\nnote: run with\nb\n");
        assert_eq!(words.end(Last::Panic), b"a\nb\n");
    }

    #[test]
    fn much_text_does_not_wait() {
        let mut words = StderrTail::default();
        words.push(&vec![b'a'; MOST]);
        assert_eq!(words.push(b"b").len(), MOST);
    }
}
