//! Errors as data: what happened, where, and how to fix it. A [`Failure`] is sent over the link and
//! rendered by graft-render.

use serde::{Deserialize, Serialize};

/// One failed command, cell line or background job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code, `crate::name`, such as `peft::no_match`.
    pub code: String,
    /// What happened, with the values: lower case, no full stop.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
    /// Where it happened: a file, a layer path, a key.
    pub site: Option<String>,
    /// The chain of causes, outermost first.
    pub causes: Vec<String>,
    /// The token in the cell that caused the failure, if any.
    pub span: Option<Span>,
}

/// A range of the cell's text, in Unicode code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Line of the cell, starting at 0.
    pub line: usize,
    /// First code point of the token in that line.
    pub start: usize,
    /// The code point after its last one.
    pub end: usize,
}

impl Failure {
    /// Creates a failure with a code and a message.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), ..Self::default() }
    }

    /// Adds a hint: how to fix it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place where it happened.
    #[must_use]
    pub fn site(mut self, site: impl Into<String>) -> Self {
        self.site = Some(site.into());
        self
    }

    /// Adds the token in the cell that caused it.
    #[must_use]
    pub fn span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Converts an error with a code and a hint. The chain of sources becomes `causes`.
    pub fn from_hint(error: &dyn Hint) -> Self {
        let message = error.to_string();
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            // Some errors use the message of their source as their own.
            causes.extend(Some(cause.to_string()).filter(|cause| !cause.starts_with(&message)));
            next = cause.source();
        }
        Self {
            code: error.code().to_owned(),
            message,
            hint: error.hint(),
            causes,
            ..Self::default()
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(site) = &self.site {
            write!(f, " (at {site})")?;
        }
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// An error with a stable code and a hint.
pub trait Hint: std::error::Error {
    /// Returns the stable code, `crate::name`.
    fn code(&self) -> &'static str;
    /// Returns how to fix it, if there is a suggestion.
    fn hint(&self) -> Option<String> {
        None
    }
}

impl<E: Hint> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::from_hint(&error)
    }
}
