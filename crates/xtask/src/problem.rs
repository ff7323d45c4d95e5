//! The error of a task: what went wrong, and what to do.

use std::fmt;

/// The result of a step of a task.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// One sentence on what went wrong and, if known, what to type next.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    hint: Option<String>,
    reported: bool,
}

impl Problem {
    /// Creates a problem without a hint.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, reported: false }
    }

    /// Marks the problem as already printed, for a task that prints its own last line.
    pub(crate) fn reported(mut self) -> Self {
        self.reported = true;
        self
    }

    /// Returns whether the problem has been printed.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported
    }

    /// Adds a hint: what to type next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Creates the problem of a file that could not be read, written or removed.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {what} {}: {error}", path.display()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}
