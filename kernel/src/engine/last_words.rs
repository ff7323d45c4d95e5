//! The end of a cell's standard error, held back for a moment: when the cell fails, its last words are the error, which is shown as such.

use std::time::{Duration, Instant};

use graft_protocol::mark::ERROR_BEGINS;

use super::marker::find;

/// For how long text is held back.
pub(super) const HOLD: Duration = Duration::from_millis(100);
/// Most bytes that are held back.
const MOST: usize = 64 << 10;

/// Text that may be the cell's last.
#[derive(Default)]
pub(super) struct LastWords {
    held: Vec<u8>,
    since: Option<Instant>,
}

impl LastWords {
    /// Adds text; what has waited long enough, or is too much to be an error's message, is given back to be shown.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let is_due = self.since.is_some_and(|since| since.elapsed() >= HOLD) || self.held.len() + bytes.len() > MOST;
        let shown = if is_due { self.take() } else { Vec::new() };
        self.held.extend_from_slice(bytes);
        self.since.get_or_insert_with(Instant::now);
        shown
    }

    /// Whether something is held back.
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives up waiting, but not for the rest of an error's message, behind which the cell ends whatever the machine does meanwhile.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let message = find(&self.held, ERROR_BEGINS.as_bytes()).filter(|start| self.held.len() - start <= MOST);
        match message {
            Some(start) => self.held.drain(..start).collect(),
            None => self.release(),
        }
    }

    /// The stream has ended: all that is left, as a reader wants it.
    pub(super) fn close(&mut self) -> Vec<u8> {
        super::errors::without_marks(self.release())
    }

    fn release(&mut self) -> Vec<u8> {
        self.since = None;
        std::mem::take(&mut self.held)
    }

    /// The cell is over: what is to be shown besides its error.
    pub(super) fn end(&mut self, panicked: bool, failed: bool) -> Vec<u8> {
        if !panicked && !failed {
            return self.close();
        }
        let held = self.release();
        let text = String::from_utf8_lossy(&held);
        super::errors::besides(&text, panicked).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_cell_that_went_well_are_shown() {
        let mut words = LastWords::default();
        assert!(words.push(b"thread 'a' panicked at src/lib.rs:1:1:\nboom\n").is_empty());
        assert!(words.is_holding());
        assert!(words.end(false, false).starts_with(b"thread"));
        assert!(!words.is_holding());
    }

    #[test]
    fn those_of_a_cell_that_failed_are_shown_without_its_error() {
        let mut words = LastWords::default();
        words.push(b"warning\nno model is loaded\nhint: `%model load tiny`\n");
        assert_eq!(words.end(false, true), b"warning\n");
        words.push(b"a\n\nthread 'main' (7) panicked at src/lib.rs:1:1:\nboom\nnote: run with\nb\n");
        assert_eq!(words.end(true, false), b"a\nb\n");
    }

    #[test]
    fn a_message_whose_end_is_late_is_waited_for() {
        let mut words = LastWords::default();
        words.push(format!("mine\n{ERROR_BEGINS}").as_bytes());
        assert_eq!(words.take(), b"mine\n");
        assert!(words.is_holding() && words.take().is_empty());
        words.push(b"boom\x1e\n");
        assert!(words.take().is_empty());
        assert_eq!(words.end(false, true), b"");
        words.push(format!("{ERROR_BEGINS}boom\x1e\n").as_bytes());
        assert_eq!(words.close(), b"boom\n");
    }

    #[test]
    fn much_text_does_not_wait() {
        let mut words = LastWords::default();
        words.push(&vec![b'a'; MOST]);
        assert_eq!(words.push(b"b").len(), MOST);
    }
}
