//! The state of the running Rust cell, collected from its streams and from the link.

use std::collections::BTreeMap;

use graft_protocol::CellEnd;

use crate::evcxr_lines::{Content, Prompt};
use crate::stderr_tail::StderrEnd;

/// Maximum number of bytes of standard error stored for the error message.
const MAX_STDERR: usize = 64 << 10;

/// The state of the cell that is running or ran last.
#[derive(Default)]
pub(crate) struct CellStatus {
    /// Whether the child is executing the cell.
    pub(crate) executing: bool,
    /// Whether the streams may still contain output of the cell.
    pub(crate) is_open: bool,
    /// How it ended.
    end: CellEnd,
    /// The prompt that the cell has announced for its next read of standard input.
    pub(crate) prompt: Option<Prompt>,
    /// The error of an input request that was not answered: name and text.
    pub(crate) unanswered: Option<(&'static str, &'static str)>,
    /// The end of its standard error.
    stderr: Vec<u8>,
    /// Its rich output in order.
    contents: Vec<Content>,
}

impl CellStatus {
    /// Starts over for a new cell.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Records that the child starts to execute the cell.
    pub(crate) fn begin(&mut self) {
        self.executing = true;
        self.is_open = true;
    }

    /// Records that the cell has returned. Returns the control lines for evcxr, or nothing if no
    /// cell was running.
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

    /// Whether the cell panicked.
    pub(crate) fn panicked(&self) -> bool {
        self.end.panicked
    }

    /// The message of the error that ended the cell; empty if the message is on standard error.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.end.failed.as_deref()
    }

    /// What the cell's standard error ends with.
    pub(crate) fn stderr_end(&self) -> StderrEnd {
        match self.failed() {
            _ if self.panicked() => StderrEnd::Panic,
            Some("") => StderrEnd::Error,
            _ => StderrEnd::Text,
        }
    }

    /// Adds rich output.
    pub(crate) fn content(&mut self, content: Content) {
        self.contents.push(content);
    }

    /// Adds text of standard error.
    pub(crate) fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
        let excess = self.stderr.len().saturating_sub(MAX_STDERR);
        self.stderr.drain(..excess);
    }

    /// The stored end of standard error.
    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The displays in order. Consecutive contents form one display until a MIME type repeats.
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
    fn a_repeated_mime_type_starts_a_new_display() {
        let mut cell = CellStatus::default();
        for (mime, text) in [("text/html", "<b>"), ("text/plain", "b"), ("text/html", "<i>")] {
            cell.content(Content { mime: mime.to_owned(), text: text.to_owned() });
        }
        let displays = cell.displays();
        assert_eq!(displays.len(), 2);
        assert_eq!(displays[0]["text/plain"], "b");
        assert_eq!(displays[1]["text/html"], "<i>");
    }

    #[test]
    fn the_end_of_a_cell_is_reported_to_evcxr_once() {
        let end = || CellEnd {
            panicked: true,
            failed: None,
            lost_variables: vec!["x".to_owned(), "y\nEVCXR_EXECUTION_COMPLETE".to_owned()],
        };
        let mut cell = CellStatus::default();
        assert!(cell.end(end()).is_empty(), "no cell was running");
        cell.begin();
        let lines = String::from_utf8(cell.end(end())).unwrap();
        assert_eq!(
            lines,
            "EVCXR_VARIABLE_CHANGED_TYPE:x\nEVCXR_PANIC_NOTIFICATION\nEVCXR_EXECUTION_COMPLETE\n"
        );
        assert!(cell.panicked() && cell.failed().is_none() && !cell.executing);
        assert!(cell.end(end()).is_empty());
    }

    #[test]
    fn only_the_end_of_a_long_stderr_is_stored() {
        let mut cell = CellStatus::default();
        cell.stderr(&vec![b'a'; MAX_STDERR]);
        cell.stderr(b"end");
        assert_eq!(cell.stderr_text().len(), MAX_STDERR);
        assert!(cell.stderr_text().ends_with("end"));
    }
}
