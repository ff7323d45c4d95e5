//! Completion and inspection of Rust code. evcxr generates the source around the cell, and the
//! analyzer answers.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Query;
use super::worker::Worker;
use crate::analyzer::SourcePosition;
use crate::rust_error::RustError;
use crate::rust_result::{RustCompletion, RustInspection, RustOutput};
use crate::{colon_commands, errors};

/// Marks the cursor in the source that evcxr generates. Part of a name, so that code with it splits
/// into the same statements as code in which the name is longer.
const CURSOR: &str = "graft_cursor_position";

/// Longest wait for the answer to `:doc`, which may start the analyzer.
const DOCUMENTATION_TIMEOUT: Duration = Duration::from_secs(60);

impl Worker {
    /// Answers with the completions at a byte of a cell.
    pub(super) fn complete(&mut self, query: &Query, answer: oneshot::Sender<Vec<RustCompletion>>) {
        if is_in_command(&query.code, query.byte) {
            let _ = answer.send(self.complete_command(&query.code, query.byte));
            return;
        }
        let Some((manifest, position)) = self.source_position(&query.code, query.byte) else {
            return;
        };
        let distance = position.byte.cast_signed() - query.byte.cast_signed();
        self.analyzer.complete(manifest, position, move |mut found| {
            for item in &mut found {
                item.start = item.start.saturating_add_signed(-distance);
                item.end = item.end.saturating_add_signed(-distance);
            }
            let _ = answer.send(found);
        });
    }

    /// Answers with the documentation of the name at a byte of a cell.
    pub(super) fn inspect(
        &mut self,
        query: &Query,
        answer: oneshot::Sender<Option<RustInspection>>,
    ) {
        let end = end_of_name(&query.code, query.byte);
        let Some((manifest, position)) = self.source_position(&query.code, end) else { return };
        self.analyzer.inspect(manifest, position, move |found| drop(answer.send(found)));
    }

    /// The answer to `:doc NAME`.
    pub(super) fn documentation(&mut self, name: &str) -> Result<RustOutput, RustError> {
        let (sender, receiver) = mpsc::channel();
        if let Some((manifest, position)) = self.source_position(&format!("{name};"), name.len()) {
            self.analyzer.inspect(manifest, position, move |found| drop(sender.send(found)));
        } else {
            drop(sender);
        }
        match receiver.recv_timeout(DOCUMENTATION_TIMEOUT) {
            Ok(Some(found)) => Ok(RustOutput {
                mime: vec![BTreeMap::from([
                    ("text/plain".to_owned(), found.plain),
                    ("text/html".to_owned(), found.html),
                ])],
            }),
            Ok(None) => Err(errors::plain(
                "Error",
                format!(
                    "no documentation found for `{name}`\nhint: write the path of an item, for example `:doc std::vec::Vec`"
                ),
            )),
            Err(_) => Err(errors::plain(
                "Error",
                "the analyzer did not answer\nhint: `graft doctor` shows whether `rust-src` is installed; the analyzer needs 900 MB of free memory",
            )),
        }
    }

    /// Completions of evcxr's `:commands`.
    fn complete_command(&mut self, code: &str, byte: usize) -> Vec<RustCompletion> {
        let Some(evcxr) = &mut self.evcxr else { return Vec::new() };
        let found = std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.completions(code, byte)));
        let Ok(Ok(found)) = found else { return Vec::new() };
        let (start, end) = (found.start_offset, found.end_offset);
        found
            .completions
            .into_iter()
            .map(|item| RustCompletion { text: item.code, kind: item.kind.to_owned(), start, end })
            .collect()
    }

    /// The manifest of the cell's crate, and the position in its generated source of a byte of the
    /// cell.
    fn source_position(&mut self, code: &str, byte: usize) -> Option<(String, SourcePosition)> {
        let (before, after) = code.split_at_checked(byte)?;
        let source = self.analysis_source(&format!("{before}{CURSOR}{after}"))?;
        let (before, after) = source.split_once(CURSOR)?;
        let position = SourcePosition { byte: before.len(), source: format!("{before}{after}") };
        self.context.folder.share_versions();
        let manifest = self.context.folder.cell().join("Cargo.toml");
        Some((std::fs::read_to_string(manifest).ok()?, position))
    }
}

/// Whether the byte is in the line of a `:command`.
fn is_in_command(code: &str, byte: usize) -> bool {
    let Some((before, after)) = code.split_at_checked(byte) else { return false };
    let begin = before.rsplit('\n').next().unwrap_or_default();
    let end = after.split('\n').next().unwrap_or_default();
    let line = format!("{begin}{end}");
    line.trim() == ":" || colon_commands::of(&line).next().is_some()
}

/// The end of the name at the cursor. evcxr inspects the name that ends at a given byte, but the
/// cursor may be inside the name.
fn end_of_name(code: &str, byte: usize) -> usize {
    let rest = code.get(byte..).unwrap_or_default();
    let inside = rest
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(rest.len());
    byte.min(code.len()) + inside
}

#[cfg(test)]
mod tests {
    use super::{end_of_name, is_in_command};

    #[test]
    fn the_whole_name_under_the_cursor_is_inspected() {
        assert_eq!(end_of_name("tensor.dims()", 3), 6);
        assert_eq!(end_of_name("tensor.dims()", 6), 6);
        assert_eq!(end_of_name("é", 0), 2);
        assert_eq!(end_of_name("x", 9), 1);
    }

    #[test]
    fn a_command_is_completed_in_its_own_line() {
        let code = ":dep rand\nlet x = Color::Red;";
        assert!(is_in_command(code, 3));
        assert!(!is_in_command(code, 20));
        assert!(is_in_command(":", 1));
    }
}
