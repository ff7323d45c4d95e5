//! The error type of the facade.

use std::fmt;

use graft_spec::{Failure, Hint};

/// `std::result::Result` with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// An error with a stable code, a message and usually a hint. `Debug` is as readable as `Display`,
/// for `unwrap` and `:efmt {:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Failure>);

impl Error {
    /// A stable code, such as `session::no_model`.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// How to fix the error, if there is a suggestion.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// An error in the use of a handle.
    pub(crate) fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::new(code, message).hint(hint).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.0, self.0.code)
    }
}

impl std::error::Error for Error {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(Box::new(failure))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        *error.0
    }
}

impl From<graft_nn::NnError> for Error {
    fn from(error: graft_nn::NnError) -> Self {
        Failure::from_hint(&error as &dyn Hint).into()
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        graft_nn::NnError::from(error).into()
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Failure::new("graft::io", error.to_string()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_hint_and_debug_adds_its_code() {
        let error = Error::new(
            "session::no_model",
            "no model is loaded",
            "load one first: `%model load tiny`",
        );
        assert_eq!(
            error.to_string(),
            "no model is loaded\nhint: load one first: `%model load tiny`"
        );
        assert!(format!("{error:?}").ends_with("[session::no_model]"));
    }
}
