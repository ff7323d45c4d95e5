//! Errors of starting an engine.

use std::path::PathBuf;

use graft_spec::Hint;

/// An error of starting an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The child could not be started.
    #[error("cannot start the session's process: {reason}")]
    Child {
        /// The cause.
        reason: String,
    },
    /// The folder of the session could not be created.
    #[error("cannot create the session's folder `{path}`")]
    SessionFolder {
        /// The folder.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The prebuilt library is missing or incomplete.
    #[error("cannot use the prebuilt library at `{path}`: {reason}")]
    Prebuilt {
        /// Its folder.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// An environment variable has a value that is not valid.
    #[error("`{name}` must be {expected}; got `{value}`")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The accepted values, with an example.
        expected: &'static str,
    },
}

impl Hint for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Child { .. } => "engine::child",
            Self::SessionFolder { .. } => "engine::session_folder",
            Self::Prebuilt { .. } => "engine::prebuilt",
            Self::Setting { .. } => "engine::setting",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Child { .. } => "`graft doctor` shows what is missing".to_owned(),
            Self::SessionFolder { .. } => {
                "free disk space, or set XDG_CACHE_HOME to a writable folder".to_owned()
            }
            Self::Prebuilt { .. } => "`graft install` rebuilds it".to_owned(),
            Self::Setting { name, .. } => {
                format!(
                    "correct or unset {name} where the kernel is started, then restart the kernel"
                )
            }
        })
    }
}
