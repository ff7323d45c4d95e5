//! Splits a file into cells.
//!
//! Text files are split by [`graft_magic::script_cells`]; of a notebook (`.ipynb`), the code cells
//! are used.

use std::path::{Path, PathBuf};

use graft_spec::Hint;
use graft_spec::user_file::{self, UserFileError};
use serde::Deserialize;

/// Maximum size of a file in bytes; large, because notebooks contain their images.
const MAX_SCRIPT_BYTES: u64 = 1 << 30;

/// The cells of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// The cells in order, without blank ones.
    pub(crate) cells: Vec<ScriptCell>,
}

/// One cell of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScriptCell {
    /// The code. In a text file, its line numbers are those of the file.
    pub(crate) text: String,
    /// Its number among the code cells of a notebook, starting at 1.
    number: Option<usize>,
}

impl ScriptCell {
    /// The location of a line, which starts at 0, in the form that editors open.
    pub(crate) fn location(&self, file: &Path, line: usize) -> String {
        let (file, line) = (file.display(), line + 1);
        match self.number {
            Some(number) => format!("{file}, code cell {number}, line {line}"),
            None => format!("{file}:{line}"),
        }
    }
}

/// Why a file cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScriptError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] UserFileError),
    /// A file with the extension `.ipynb` that is not a notebook.
    #[error("`{}` is not a notebook", path.display())]
    NotANotebook {
        /// The file.
        path: PathBuf,
        /// Location and reason.
        #[source]
        source: serde_json::Error,
    },
}

impl Hint for ScriptError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read(UserFileError::Io { .. }) => "terminal::unreadable",
            Self::Read(error) => error.code(),
            Self::NotANotebook { .. } => "terminal::not_a_notebook",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error
                .hint()
                .or_else(|| Some("usage: `graft run FILE`; `-` reads standard input".to_owned())),
            Self::NotANotebook { .. } => Some(
                "save it as nbformat 4, or change the file extension to run it as text".to_owned(),
            ),
        }
    }
}

/// The required part of nbformat 4.
#[derive(Deserialize)]
struct Notebook {
    cells: Vec<NotebookCell>,
}

#[derive(Deserialize)]
struct NotebookCell {
    cell_type: String,
    source: CellSource,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CellSource {
    Lines(Vec<String>),
    Text(String),
}

impl Script {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub(crate) fn read(path: &Path) -> Result<Self, ScriptError> {
        let text = read_text(path)?;
        if path.extension().is_some_and(|ending| ending == "ipynb") {
            let notebook: Notebook = serde_json::from_str(&text)
                .map_err(|source| ScriptError::NotANotebook { path: path.to_owned(), source })?;
            return Ok(Self::from_notebook(notebook));
        }
        Ok(Self::from_text(&text))
    }

    fn from_notebook(notebook: Notebook) -> Self {
        let text = |source| match source {
            CellSource::Lines(lines) => lines.concat(),
            CellSource::Text(text) => text,
        };
        let cells =
            notebook.cells.into_iter().filter(|cell| cell.cell_type == "code").enumerate().map(
                |(index, cell)| ScriptCell { text: text(cell.source), number: Some(index + 1) },
            );
        Self { cells: cells.filter(|cell| !cell.text.trim().is_empty()).collect() }
    }

    /// Splits plain text.
    pub(crate) fn from_text(text: &str) -> Self {
        let cells = graft_magic::script_cells(text).into_iter();
        Self { cells: cells.map(|text| ScriptCell { text, number: None }).collect() }
    }
}

/// Reads a file, standard input, or a process substitution of the shell (`<(...)`).
fn read_text(path: &Path) -> Result<String, UserFileError> {
    if path.as_os_str() == "-" {
        return user_file::read_text_stream(std::io::stdin(), path, MAX_SCRIPT_BYTES);
    }
    if path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") {
        let stream = std::fs::File::open(path)
            .map_err(|source| UserFileError::Io { path: path.to_owned(), source })?;
        return user_file::read_text_stream(stream, path, MAX_SCRIPT_BYTES);
    }
    user_file::read_text(path, MAX_SCRIPT_BYTES)
}

#[cfg(test)]
mod tests;
