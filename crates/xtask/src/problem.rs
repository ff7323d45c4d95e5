//! What stops a task, in words that say what to do.

use std::fmt;

/// The result of a task's step.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// One sentence on what went wrong and, where there is one, what to type next.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    hint: Option<String>,
    told: bool,
}

impl Problem {
    /// A problem without advice.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, told: false }
    }

    /// Marks it as printed already, by a task that ends with a line of its own.
    pub(crate) fn told(mut self) -> Self {
        self.told = true;
        self
    }

    /// Whether the reader has seen it.
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    /// Adds what to type next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file that could not be read, written or removed.
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
