//! What is known of the Rust cell that runs, from its streams.

use std::collections::BTreeMap;

use super::split::{Meaning, meaning};

/// Most bytes of standard error that are kept for the error message.
const MOST_STDERR: usize = 64 << 10;

/// State of the cell that runs, or ran last.
#[derive(Default)]
pub(super) struct CellWatch {
    /// Whether the child is in the cell's code.
    pub(super) executing: bool,
    /// Whether its streams may still bring something of it.
    pub(super) is_open: bool,
    /// Whether it panicked.
    pub(super) panicked: bool,
    /// Whether a `?` ended it.
    pub(super) failed: bool,
    /// End of what it wrote to standard error.
    stderr: Vec<u8>,
    /// Content blocks in order.
    blocks: Vec<(String, String)>,
    /// The block that is being received.
    open: Option<(String, String)>,
}

impl CellWatch {
    /// A new cell: nothing is known of it.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The child enters the cell.
    pub(super) fn begin(&mut self) {
        self.executing = true;
        self.is_open = true;
    }

    /// A control line passed.
    pub(super) fn control(&mut self, line: &[u8]) {
        match meaning(line) {
            Meaning::Complete => self.executing = false,
            Meaning::Panicked => self.panicked = true,
            Meaning::Failed => self.failed = true,
            Meaning::Other => {}
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\n');
        match self.open.take() {
            Some(block) if text == "EVCXR_END_CONTENT" => self.blocks.push(block),
            Some((mime, mut content)) => {
                if !content.is_empty() {
                    content.push('\n');
                }
                content.push_str(text);
                self.open = Some((mime, content));
            }
            None => self.open = text.strip_prefix("EVCXR_BEGIN_CONTENT ").map(|mime| (mime.to_owned(), String::new())),
        }
    }

    /// Text arrived on standard error.
    pub(super) fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
        let excess = self.stderr.len().saturating_sub(MOST_STDERR);
        self.stderr.drain(..excess);
    }

    /// What it wrote to standard error, as text.
    pub(super) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The displays in order: blocks that follow each other belong to one display until a MIME type comes again.
    pub(super) fn displays(&self) -> Vec<BTreeMap<String, String>> {
        let mut displays: Vec<BTreeMap<String, String>> = Vec::new();
        for (mime, content) in &self.blocks {
            match displays.last_mut() {
                Some(display) if !display.contains_key(mime) => {
                    display.insert(mime.clone(), content.clone());
                }
                _ => displays.push(BTreeMap::from([(mime.clone(), content.clone())])),
            }
        }
        displays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(lines: &[&str]) -> CellWatch {
        let mut watch = CellWatch::default();
        watch.begin();
        for line in lines {
            watch.control(format!("{line}\n").as_bytes());
        }
        watch
    }

    #[test]
    fn a_mime_type_that_comes_again_begins_a_new_display() {
        let block = |mime: &str, text: &str| [format!("EVCXR_BEGIN_CONTENT {mime}"), text.to_owned(), "EVCXR_END_CONTENT".to_owned()];
        let lines = [block("text/html", "<b>"), block("text/plain", "b"), block("text/html", "<i>")].concat();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let displays = watch(&lines).displays();
        assert_eq!(displays.len(), 2);
        assert_eq!(displays[0]["text/plain"], "b");
        assert_eq!(displays[1]["text/html"], "<i>");
    }

    #[test]
    fn lines_of_a_block_stay_lines() {
        let displays = watch(&["EVCXR_BEGIN_CONTENT text/plain", "a", "", "b", "EVCXR_END_CONTENT"]).displays();
        assert_eq!(displays[0]["text/plain"], "a\n\nb");
    }

    #[test]
    fn the_end_of_a_cell_is_seen() {
        let watch = watch(&["EVCXR_PANIC_NOTIFICATION", "EVCXR_EXECUTION_COMPLETE"]);
        assert!(watch.panicked && !watch.failed && !watch.executing);
    }

    #[test]
    fn only_the_end_of_a_long_stderr_is_kept() {
        let mut watch = CellWatch::default();
        watch.stderr(&vec![b'a'; MOST_STDERR]);
        watch.stderr(b"end");
        assert_eq!(watch.stderr_text().len(), MOST_STDERR);
        assert!(watch.stderr_text().ends_with("end"));
    }
}
