//! What is known of the Rust cell that runs, from its streams and from the link.

use std::collections::BTreeMap;

use graft_protocol::CellEnd;

use super::evcxr_lines::{Content, Prompt};
use super::stderr_tail::Last;

/// Most bytes of standard error that are kept for the error message.
const MOST_STDERR: usize = 64 << 10;

/// State of the cell that runs, or ran last.
#[derive(Default)]
pub(crate) struct CellStatus {
    /// Whether the child is in the cell's code.
    pub(crate) executing: bool,
    /// Whether its streams may still bring something of it.
    pub(crate) is_open: bool,
    /// How it ended.
    end: CellEnd,
    /// The question that it has announced; the next time it reads, the user is asked so.
    pub(crate) prompt: Option<Prompt>,
    /// Name and text of the error of a question that was not answered.
    pub(crate) unanswered: Option<(&'static str, &'static str)>,
    /// End of what it wrote to standard error.
    stderr: Vec<u8>,
    /// Rich output in order.
    contents: Vec<Content>,
}

impl CellStatus {
    /// A new cell: nothing is known of it.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The child enters the cell.
    pub(crate) fn begin(&mut self) {
        self.executing = true;
        self.is_open = true;
    }

    /// The cell has returned. What evcxr must be told of that; nothing when no cell was running.
    pub(crate) fn end(&mut self, end: CellEnd) -> Vec<u8> {
        if !std::mem::take(&mut self.executing) {
            return Vec::new();
        }
        let mut lines = String::new();
        for name in end.lost_variables.iter().filter(|name| !name.contains('\n')) {
            lines.push_str(&format!("EVCXR_VARIABLE_CHANGED_TYPE:{name}\n"));
        }
        if end.failed.is_some() {
            lines.push_str("EVCXR_ERROR_OCCURRED\n");
        }
        if end.panicked {
            lines.push_str("EVCXR_PANIC_NOTIFICATION\n");
        }
        lines.push_str("EVCXR_EXECUTION_COMPLETE\n");
        self.end = end;
        lines.into_bytes()
    }

    /// Whether it panicked.
    pub(crate) fn panicked(&self) -> bool {
        self.end.panicked
    }

    /// The message of the error that ended it; empty when it is on standard error.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.end.failed.as_deref()
    }

    /// What its standard error ends with.
    pub(crate) fn last_of_stderr(&self) -> Last {
        match self.failed() {
            _ if self.panicked() => Last::Panic,
            Some("") => Last::Error,
            _ => Last::Text,
        }
    }

    /// Rich output arrived.
    pub(crate) fn content(&mut self, content: Content) {
        self.contents.push(content);
    }

    /// Text arrived on standard error.
    pub(crate) fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
        let excess = self.stderr.len().saturating_sub(MOST_STDERR);
        self.stderr.drain(..excess);
    }

    /// What it wrote to standard error, as text.
    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The displays in order: contents that follow each other belong to one display until a MIME type comes again.
    pub(crate) fn displays(&self) -> Vec<BTreeMap<String, String>> {
        let mut displays: Vec<BTreeMap<String, String>> = Vec::new();
        for Content { mime, text } in &self.contents {
            match displays.last_mut() {
                Some(display) if !display.contains_key(mime) => {
                    display.insert(mime.clone(), text.clone());
                }
                _ => displays.push(BTreeMap::from([(mime.clone(), text.clone())])),
            }
        }
        displays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mime_type_that_comes_again_begins_a_new_display() {
        let mut watch = CellStatus::default();
        for (mime, text) in [("text/html", "<b>"), ("text/plain", "b"), ("text/html", "<i>")] {
            watch.content(Content { mime: mime.to_owned(), text: text.to_owned() });
        }
        let displays = watch.displays();
        assert_eq!(displays.len(), 2);
        assert_eq!(displays[0]["text/plain"], "b");
        assert_eq!(displays[1]["text/html"], "<i>");
    }

    #[test]
    fn evcxr_is_told_once_how_a_cell_ended() {
        let end = || CellEnd {
            panicked: true,
            failed: None,
            lost_variables: vec!["x".to_owned(), "y\nEVCXR_EXECUTION_COMPLETE".to_owned()],
        };
        let mut watch = CellStatus::default();
        assert!(watch.end(end()).is_empty(), "no cell was running");
        watch.begin();
        let told = String::from_utf8(watch.end(end())).unwrap();
        assert_eq!(
            told,
            "EVCXR_VARIABLE_CHANGED_TYPE:x\nEVCXR_PANIC_NOTIFICATION\nEVCXR_EXECUTION_COMPLETE\n"
        );
        assert!(watch.panicked() && watch.failed().is_none() && !watch.executing);
        assert!(watch.end(end()).is_empty());
    }

    #[test]
    fn only_the_end_of_a_long_stderr_is_kept() {
        let mut watch = CellStatus::default();
        watch.stderr(&vec![b'a'; MOST_STDERR]);
        watch.stderr(b"end");
        assert_eq!(watch.stderr_text().len(), MOST_STDERR);
        assert!(watch.stderr_text().ends_with("end"));
    }
}
