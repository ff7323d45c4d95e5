//! Makes `?` at the top level of a cell show the sources of an error.
//!
//! evcxr's code accepts any `Display` type and prints only its message, since `Display` has no
//! sources. The wrapper first compiles the cell with a `?` that accepts only `std::error::Error`,
//! which has sources. Other types (text, boxed errors, `anyhow`) make this fail; the cell is then
//! compiled with a `?` that accepts all types and finds the sources of the most common ones. No
//! line moves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::layout::FACADE;

/// evcxr's implementation of `?` at the top level.
const IMPL: &str = "impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError";
/// The line in it that prints the message.
const LINE: &str = "eprintln!(\"{}\", error);";

/// The source of a cell that contains `?`.
pub(super) struct Cell {
    path: PathBuf,
    text: String,
}

/// The types that `?` accepts.
#[derive(Clone, Copy)]
enum Accepts {
    Errors,
    All,
}

impl Cell {
    /// Reads the cell in a file; `None` if it contains no `?`, or if `:efmt` has selected another
    /// format.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        text.contains('?')
            .then(|| Self { path: path.to_owned(), text })
            .filter(|cell| cell.with(Accepts::All).is_some())
    }

    /// Compiles the cell with a `?` that accepts errors only. On failure it prints nothing and
    /// returns false; the file then contains a `?` that accepts all types, for the caller to
    /// compile.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written or rustc cannot be run.
    pub(super) fn compile_strictly(
        &self,
        rustc: &str,
        arguments: &[String],
    ) -> std::io::Result<bool> {
        self.write(Accepts::Errors)?;
        let compiled = Command::new(rustc).args(arguments).output()?;
        if compiled.status.success() {
            std::io::stdout().write_all(&compiled.stdout)?;
            std::io::stderr().write_all(&compiled.stderr)?;
            return Ok(true);
        }
        self.write(Accepts::All)?;
        Ok(false)
    }

    fn write(&self, accepts: Accepts) -> std::io::Result<()> {
        std::fs::write(&self.path, self.with(accepts).unwrap_or_else(|| self.text.clone()))
    }

    /// The source with a call into the facade instead of evcxr's line; `None` if the source does
    /// not contain the line.
    fn with(&self, accepts: Accepts) -> Option<String> {
        let (before, rest) = self.text.split_once(IMPL)?;
        let (body, after) = rest.split_once(LINE)?;
        let (bound, function) = match accepts {
            Accepts::Errors => ("std::error::Error", "typed_cell_error"),
            Accepts::All => ("std::fmt::Display", "cell_error"),
        };
        Some(format!(
            "{before}impl<T: {bound}> From<T> for EvcxrUserCodeError{body}::{FACADE}::{function}(&error);{after}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_shows_sources_and_the_rest_of_the_cell_is_unchanged() {
        let begin = "eprintln!(\"{}\", error);\nstruct EvcxrUserCodeError {}\n";
        let cell = Cell {
            path: PathBuf::new(),
            text: format!(
                "{begin}impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError {{\n fn from(error: T) -> Self {{\n  eprintln!(\"{{}}\", error);\n}}}}\nf()?;"
            ),
        };
        let body = |bound: &str, function: &str| {
            format!(
                "{begin}impl<T: {bound}> From<T> for EvcxrUserCodeError {{\n fn from(error: T) -> Self {{\n  ::graft::{function}(&error);\n}}}}\nf()?;"
            )
        };
        assert_eq!(
            cell.with(Accepts::Errors).unwrap(),
            body("std::error::Error", "typed_cell_error")
        );
        assert_eq!(cell.with(Accepts::All).unwrap(), body("std::fmt::Display", "cell_error"));
    }

    #[test]
    fn a_cell_without_a_question_mark_is_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.rs");
        std::fs::write(&file, "let x = 1;").unwrap();
        assert!(Cell::read(&file).is_none());
        std::fs::write(&file, format!("{IMPL} {{ {LINE} }} let x = 1;")).unwrap();
        assert!(Cell::read(&file).is_none());
        std::fs::write(&file, format!("{IMPL} {{ {LINE} }} let x = f()?;")).unwrap();
        assert!(Cell::read(&file).is_some());
    }
}
