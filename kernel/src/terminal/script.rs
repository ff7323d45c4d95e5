//! A file into cells.
//!
//! A line `// %%` begins a cell. Without any, the file is one cell, in which a `%%name` line begins a cell of its own that ends
//! at the first blank line. A notebook (`.ipynb`) gives its code cells. Each cell keeps the line numbers of the file, so that
//! failures point at the file's own lines.

use std::path::{Path, PathBuf};

use graft_protocol::Hint;
use graft_protocol::user_file::{self, UserFileError};
use serde::Deserialize;

/// Most bytes of a file: a notebook holds its pictures.
const MOST_SCRIPT: u64 = 1 << 30;

/// The cells of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// In their order; none is blank.
    pub(crate) cells: Vec<String>,
}

/// Why a file cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScriptError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] UserFileError),
    /// It ends in `.ipynb` and is no notebook.
    #[error("`{}` is not a notebook", path.display())]
    NotANotebook {
        /// The file.
        path: PathBuf,
        /// Where its text goes wrong.
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
            Self::Read(error) => error.hint().or_else(|| Some("usage: graft run FILE; `-` reads standard input".to_owned())),
            Self::NotANotebook { .. } => Some("save it as nbformat 4, or give the file another ending to run it as text".to_owned()),
        }
    }
}

/// What is needed of nbformat 4.
#[derive(Deserialize)]
struct Notebook {
    cells: Vec<NotebookCell>,
}

#[derive(Deserialize)]
struct NotebookCell {
    cell_type: String,
    source: Source,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Source {
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
            let notebook: Notebook = serde_json::from_str(&text).map_err(|source| ScriptError::NotANotebook { path: path.to_owned(), source })?;
            return Ok(Self::of_notebook(notebook));
        }
        Ok(Self::of_text(&text))
    }

    fn of_notebook(notebook: Notebook) -> Self {
        let text = |source| match source {
            Source::Lines(lines) => lines.concat(),
            Source::Text(text) => text,
        };
        let cells = notebook.cells.into_iter().filter(|cell| cell.cell_type == "code").map(|cell| text(cell.source));
        Self { cells: cells.filter(|cell| !cell.trim().is_empty()).collect() }
    }

    /// Cuts a plain text.
    pub(crate) fn of_text(text: &str) -> Self {
        let has_marks = text.lines().any(is_mark);
        let mut cells = vec![String::new()];
        let mut blank_lines = String::new();
        let mut whole_cell = false;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let begins = if has_marks { is_mark(line) } else { begins_cell_magic(line) };
            let ends = !has_marks && whole_cell && line.trim().is_empty();
            if begins || ends {
                cells.push(blank_lines.clone());
                whole_cell = begins;
            }
            let is_shebang = number == 0 && line.starts_with("#!") && !line.starts_with("#![");
            if let Some(cell) = cells.last_mut() {
                cell.push_str(if is_shebang || (has_marks && begins) { "\n" } else { line });
            }
            blank_lines.push('\n');
        }
        cells.retain(|cell| !cell.trim().is_empty());
        Self { cells }
    }
}

/// A file, standard input, or what a shell's `<(...)` opened for this process.
fn read_text(path: &Path) -> Result<String, UserFileError> {
    if path.as_os_str() == "-" {
        return user_file::read_text_stream(std::io::stdin(), path, MOST_SCRIPT);
    }
    if path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") {
        let stream = std::fs::File::open(path).map_err(|source| UserFileError::Io { path: path.to_owned(), source })?;
        return user_file::read_text_stream(stream, path, MOST_SCRIPT);
    }
    user_file::read_text(path, MOST_SCRIPT)
}

/// `// %%`, with or without the blank and a title.
fn is_mark(line: &str) -> bool {
    line.strip_prefix("//").is_some_and(|rest| rest.trim_start().starts_with("%%"))
}

fn begins_cell_magic(line: &str) -> bool {
    line.strip_prefix("%%").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests;
