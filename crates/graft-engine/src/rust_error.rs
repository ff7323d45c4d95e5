//! The error that ended a Rust cell.

use graft_frontend::CellError;

/// The error that ended a Rust cell: a compile error, a panic, an interrupt or the exit of the
/// child.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RustError {
    /// `CompileError`, `Panic`, `Error`, `Interrupted`, `SessionDied`, and others.
    pub ename: String,
    /// A one-line summary.
    pub evalue: String,
    /// The full message, as lines with ANSI colors.
    pub traceback: Vec<String>,
}

/// Panic messages, messages of rustc and lines of the cell may contain any character. Colors are
/// preserved; other control characters are shown as symbols.
impl From<RustError> for CellError {
    fn from(error: RustError) -> Self {
        let traceback = error
            .traceback
            .iter()
            .map(|line| graft_render::visible_painted(line).into_owned())
            .collect();
        Self {
            ename: error.ename,
            evalue: graft_render::visible(&error.evalue).into_owned(),
            traceback,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIPBOARD: &str = "\u{1b}]52;c;eHg=\u{7}\u{202e}";

    #[test]
    fn colors_are_preserved_and_control_characters_are_shown() {
        let error = RustError {
            ename: "Panic".to_owned(),
            evalue: CLIPBOARD.to_owned(),
            traceback: vec![format!("\u{1b}[31mPanic\u{1b}[0m: {CLIPBOARD}")],
        };
        let shown = CellError::from(error);
        assert_eq!(shown.evalue, "␛]52;c;eHg=␇\\u{202e}");
        assert_eq!(shown.traceback, ["\u{1b}[31mPanic\u{1b}[0m: ␛]52;c;eHg=␇\\u{202e}"]);
    }
}
