//! A cell whose `?` tells the sources of the error that it meets. evcxr's own line writes the message alone, for any type that can be
//! displayed, and such a type has no sources that could be asked for. So the cell is first compiled with a `?` that takes errors
//! only, whose sources are known whatever their type; what is no error (a text, a boxed error, `anyhow`'s) makes that fail, and the
//! cell is compiled again with a `?` that takes all and knows the sources of the commonest. No line moves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::layout::FACADE;

/// What evcxr puts into a cell so that a `?` at its top is understood.
const IMPL: &str = "impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError";
/// The line in it that tells the message.
const LINE: &str = "eprintln!(\"{}\", error);";

/// The source of a cell that has a `?`.
pub(super) struct Cell {
    path: PathBuf,
    text: String,
}

/// Which types a `?` takes.
#[derive(Clone, Copy)]
enum Takes {
    Errors,
    All,
}

impl Cell {
    /// The cell in a file; none where it has no `?`, or where `:efmt` has asked for another form.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        text.contains('?')
            .then(|| Self { path: path.to_owned(), text })
            .filter(|cell| cell.with(Takes::All).is_some())
    }

    /// Compiles the cell with a `?` that takes errors only. Where that fails, nothing is said, and the file is left with a `?` that
    /// takes all, to be compiled by the caller.
    ///
    /// # Errors
    /// The file cannot be written, or rustc cannot be run.
    pub(super) fn compile_strictly(
        &self,
        rustc: &str,
        arguments: &[String],
    ) -> std::io::Result<bool> {
        self.write(Takes::Errors)?;
        let compiled = Command::new(rustc).args(arguments).output()?;
        if compiled.status.success() {
            std::io::stdout().write_all(&compiled.stdout)?;
            std::io::stderr().write_all(&compiled.stderr)?;
            return Ok(true);
        }
        self.write(Takes::All)?;
        Ok(false)
    }

    fn write(&self, takes: Takes) -> std::io::Result<()> {
        std::fs::write(&self.path, self.with(takes).unwrap_or_else(|| self.text.clone()))
    }

    /// The source with evcxr's line replaced by the facade's; none where there is no such line.
    fn with(&self, takes: Takes) -> Option<String> {
        let (before, rest) = self.text.split_once(IMPL)?;
        let (body, after) = rest.split_once(LINE)?;
        let (bound, teller) = match takes {
            Takes::Errors => ("std::error::Error", "typed_cell_error"),
            Takes::All => ("std::fmt::Display", "cell_error"),
        };
        Some(format!(
            "{before}impl<T: {bound}> From<T> for EvcxrUserCodeError{body}::{FACADE}::{teller}(&error);{after}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_tells_sources_and_nothing_else_of_the_cell_changes() {
        let begin = "eprintln!(\"{}\", error);\nstruct EvcxrUserCodeError {}\n";
        let cell = Cell {
            path: PathBuf::new(),
            text: format!(
                "{begin}impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError {{\n fn from(error: T) -> Self {{\n  eprintln!(\"{{}}\", error);\n}}}}\nf()?;"
            ),
        };
        let body = |bound: &str, teller: &str| {
            format!(
                "{begin}impl<T: {bound}> From<T> for EvcxrUserCodeError {{\n fn from(error: T) -> Self {{\n  ::graft::{teller}(&error);\n}}}}\nf()?;"
            )
        };
        assert_eq!(
            cell.with(Takes::Errors).unwrap(),
            body("std::error::Error", "typed_cell_error")
        );
        assert_eq!(cell.with(Takes::All).unwrap(), body("std::fmt::Display", "cell_error"));
    }

    #[test]
    fn a_cell_without_one_is_left_alone() {
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
