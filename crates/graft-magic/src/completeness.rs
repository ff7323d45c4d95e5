//! Whether Enter runs the cell or opens a new line.

use crate::cell::{self, RustLines};

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The cell is complete.
    Complete,
    /// The cell continues.
    Incomplete,
    /// A quote of the last shell line is open. Only the shell can decide whether the line is
    /// complete.
    Unknown,
    /// The cell ends in Rust. The Rust parser decides, on this text, in which magics are blank
    /// lines.
    Rust(String),
}

/// Returns whether a cell is complete, according to its magics. A `%%` cell ends at a blank line.
pub fn is_complete(text: &str) -> Completeness {
    if let Some(head) = cell::cell_magic(text) {
        let ended = head.body.ends_with("\n\n")
            || head.body.lines().next_back().is_some_and(|last| last.trim().is_empty())
            || text.ends_with("\n\n");
        return if ended { Completeness::Complete } else { Completeness::Incomplete };
    }
    let mut rust = RustLines::default();
    let mut plain = String::with_capacity(text.len());
    let mut last = Last::Rust;
    for line in text.split_inclusive('\n') {
        let continued = matches!(last, Last::Magic { continued: true });
        if continued || cell::magic_at(&rust, line).is_some() {
            rust = RustLines::default();
            let is_open = line.trim_start().starts_with('!') && shlex::split(line).is_none();
            last = if is_open {
                Last::OpenShell
            } else {
                Last::Magic { continued: line.trim_end().ends_with('\\') }
            };
            plain.push('\n');
        } else {
            let line = rust.without_hash_comment(line);
            rust.feed(&line);
            plain.push_str(&line);
            if !line.trim().is_empty() {
                last = Last::Rust;
            }
        }
    }
    match last {
        Last::OpenShell => Completeness::Unknown,
        Last::Magic { continued: true } => Completeness::Incomplete,
        Last::Magic { continued: false } => Completeness::Complete,
        Last::Rust => Completeness::Rust(plain),
    }
}

/// What the last line that is not blank belongs to.
enum Last {
    Rust,
    Magic { continued: bool },
    OpenShell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_magic_is_complete_and_a_continued_one_is_not() {
        assert_eq!(is_complete("%model load tiny"), Completeness::Complete);
        assert_eq!(is_complete("%train \\\n"), Completeness::Incomplete);
        assert_eq!(is_complete("%train \\\n steps=3"), Completeness::Complete);
    }

    #[test]
    fn what_a_shell_line_with_an_open_quote_waits_for_is_unknown() {
        assert_eq!(is_complete("!echo 'a"), Completeness::Unknown);
        assert_eq!(is_complete("!echo 'a'"), Completeness::Complete);
        assert_eq!(is_complete("!ls \\\n"), Completeness::Incomplete);
    }

    #[test]
    fn a_cell_magic_is_complete_after_a_blank_line() {
        assert_eq!(is_complete("%%time\nlet a = 1;"), Completeness::Incomplete);
        assert_eq!(is_complete("%%time\nlet a = 1;\n\n"), Completeness::Complete);
        assert_eq!(is_complete("%%time"), Completeness::Incomplete);
    }

    #[test]
    fn a_comment_of_python_leaves_nothing_open() {
        assert_eq!(is_complete("# don't (\n%params"), Completeness::Complete);
        assert_eq!(
            is_complete("# don't (\nlet x = 1;"),
            Completeness::Rust("// don't (\nlet x = 1;".to_owned())
        );
        assert_eq!(is_complete("  % lora list"), Completeness::Complete);
    }

    #[test]
    fn rust_at_the_end_is_for_rust_to_judge_with_the_magics_blanked() {
        assert_eq!(is_complete("%seed 7\nfn f() {"), Completeness::Rust("\nfn f() {".to_owned()));
        assert_eq!(is_complete("let x = 1;"), Completeness::Rust("let x = 1;".to_owned()));
    }
}
