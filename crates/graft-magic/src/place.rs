//! Finds the magic at the cursor.

use crate::cell::{self, RustLines};

/// The position of the cursor.
pub(crate) enum Place<'a> {
    /// In Rust.
    Rust,
    /// In the text of a `%%` cell that is not code.
    Body,
    /// On a magic.
    Magic(Magic<'a>),
}

/// The magic at the cursor.
pub(crate) struct Magic<'a> {
    /// From its sign to the end of the line, including continued lines.
    pub text: &'a str,
    /// The byte of `text` at the cursor.
    pub cursor: usize,
    /// Whether it is at the start of the cell, where `%%` is allowed.
    pub first: bool,
}

impl<'a> Magic<'a> {
    /// Returns the sign, the name, and the text between the name and the cursor (`None` if the
    /// cursor is in the name).
    pub(crate) fn split(&self) -> (&'a str, &'a str, Option<&'a str>) {
        let sign = self.text.len() - self.text.trim_start_matches(['%', '?']).len();
        let (name, rest) = crate::line::split_name(self.text.get(sign..).unwrap_or(""));
        let before = self
            .cursor
            .checked_sub(sign + name.len())
            .and_then(|end| rest.get(..end))
            .filter(|before| !before.is_empty());
        (self.text.get(..sign).unwrap_or(""), name, before)
    }
}

/// Finds the magic at `cursor` (in code points).
pub(crate) fn find(text: &str, cursor: usize) -> Place<'_> {
    let byte = text.char_indices().nth(cursor).map_or(text.len(), |(byte, _)| byte);
    at_byte(text, byte, true)
}

fn at_byte(text: &str, cursor: usize, first: bool) -> Place<'_> {
    if first && let Some(head) = cell::cell_magic(text) {
        let start = text.len() - text.trim_start().len();
        let line_end = text
            .get(start..)
            .and_then(|rest| rest.find('\n'))
            .map_or(text.len(), |end| start + end);
        if cursor >= start && cursor <= line_end {
            return Place::Magic(Magic {
                text: text.get(start..line_end).unwrap_or(""),
                cursor: cursor - start,
                first,
            });
        }
        let body_start = text.len() - head.body.len();
        return if head.text.starts_with("time") && cursor >= body_start {
            at_byte(head.body, cursor - body_start, true)
        } else {
            Place::Body
        };
    }
    in_lines(text, cursor)
}

fn in_lines(text: &str, cursor: usize) -> Place<'_> {
    let mut rust = RustLines::default();
    let mut start = 0;
    let mut blank = true;
    while start <= text.len() {
        let rest = text.get(start..).unwrap_or("");
        let indent = sign(&rust, rest);
        let is_magic = indent.is_some();
        let mut length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        while is_magic
            && rest
                .get(..length)
                .is_some_and(|line| line.trim_end().ends_with('\\') && line.ends_with('\n'))
            && length < rest.len()
        {
            let more = rest.get(length..).unwrap_or("");
            length += more.find('\n').map_or(more.len(), |end| end + 1);
        }
        let line = rest.get(..length).unwrap_or("");
        let end = start + line.trim_end_matches(['\n', '\r']).len();
        if cursor <= end || length == 0 || start + length >= text.len() && !line.ends_with('\n') {
            let Some(from) = indent.map(|indent| (start + indent).min(end)) else {
                return Place::Rust;
            };
            return Place::Magic(Magic {
                text: text.get(from..end).unwrap_or(""),
                cursor: cursor.clamp(from, end) - from,
                first: blank,
            });
        }
        if is_magic || cell::begins_magic(line) && rust.is_top_level() {
            rust = RustLines::default();
        } else {
            rust.feed(&rust.without_hash_comment(line));
        }
        blank &= line.trim().is_empty();
        start += length;
    }
    Place::Rust
}

/// Returns the byte of the line at which the sign of a magic is: `%`, or `?` for completion and
/// inspection.
fn sign(rust: &RustLines, rest: &str) -> Option<usize> {
    let line = rest.split('\n').next().unwrap_or("");
    if rust.is_top_level() && line.starts_with('%') && !line.starts_with("% ") {
        return Some(0);
    }
    cell::magic_at(rust, line)
        .filter(|start| line.get(*start..).is_some_and(|text| text.starts_with(['%', '?'])))
}
