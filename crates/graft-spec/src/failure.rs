//! Errors as data: what happened, where, and what to type next. A [`Failure`] crosses the link and is drawn by graft-render.

use serde::{Deserialize, Serialize};

/// One failed command, cell line or background job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable name, `crate::what`, such as `peft::no_match`; listed in the reference.
    pub code: String,
    /// One sentence with the values: lower case, no final dot.
    pub message: String,
    /// What to type next, with alternatives.
    pub hint: Option<String>,
    /// Where: a file, a layer path, a key.
    pub site: Option<String>,
    /// The chain of causes, outermost first.
    pub causes: Vec<String>,
    /// The bad token in the cell, when the failure comes from its text.
    pub span: Option<Span>,
}

/// A range of the cell's text, in Unicode code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Line of the cell, from 0.
    pub line: usize,
    /// First code point of the bad token in that line.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
}

impl Failure {
    /// A failure with code and message alone.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), ..Self::default() }
    }

    /// Adds what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds where it happened.
    #[must_use]
    pub fn site(mut self, site: impl Into<String>) -> Self {
        self.site = Some(site.into());
        self
    }

    /// Adds the bad token of the cell.
    #[must_use]
    pub fn span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// A failure from any error that has a code and a hint; the source chain becomes `causes`.
    pub fn from_hint(error: &dyn Hint) -> Self {
        let message = error.to_string();
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            // An error that shows its source's sentence as its own need not repeat it.
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

/// An error of any crate of Graft, with a stable code and a hint what to type next.
pub trait Hint: std::error::Error {
    /// Stable name, `crate::what`.
    fn code(&self) -> &'static str;
    /// What to type next, where there is something to say.
    fn hint(&self) -> Option<String> {
        None
    }
}

impl<E: Hint> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::from_hint(&error)
    }
}
