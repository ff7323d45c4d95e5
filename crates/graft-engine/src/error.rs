//! Errors of starting an engine.

use std::path::PathBuf;

use graft_spec::Hint;

/// Why an engine could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The child could not be started or did not answer.
    #[error("the session's process did not start: {reason}")]
    Child {
        /// What happened.
        reason: String,
    },
    /// The private folder of this session could not be made.
    #[error("cannot make the session's folder {path}")]
    SessionFolder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The template is not there or not whole.
    #[error("the template at {path} is not usable: {reason}")]
    Prebuilt {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Hint for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Child { .. } => "engine::child",
            Self::SessionFolder { .. } => "engine::session_folder",
            Self::Prebuilt { .. } => "engine::prebuilt",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Child { .. } => "`graft doctor` says what is missing".to_owned(),
            Self::SessionFolder { .. } => {
                "make room or set XDG_CACHE_HOME to a folder you can write".to_owned()
            }
            Self::Prebuilt { .. } => "`graft install` builds it again".to_owned(),
        })
    }
}
