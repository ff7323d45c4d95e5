//! Errors of the recipe.

use std::path::{Path, PathBuf};

use graft_spec::Hint;

/// A stage of the recipe failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PretrainError {
    /// A file or folder could not be read or written.
    #[error("cannot read or write `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The toolchain has no HTML documentation.
    #[error("no Rust documentation in `{}`", looked.display())]
    NoDocumentation {
        /// The folder that was searched.
        looked: PathBuf,
    },
    /// A file of an earlier stage is damaged.
    #[error("`{}` line {line} is not a valid record", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The error of the JSON parser.
        source: serde_json::Error,
    },
    /// The tokenizer could not be trained or read.
    #[error("cannot create the tokenizer")]
    Tokenizer {
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Training failed.
    #[error("training failed")]
    Train {
        /// Why.
        #[from]
        source: graft_train::TrainError,
    },
    /// The model could not be created, read or written.
    #[error("the model failed")]
    Model {
        /// Why.
        #[from]
        source: graft_models::ModelError,
    },
}

impl PretrainError {
    /// An input or output error at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }
}

impl Hint for PretrainError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "pretrain::io",
            Self::NoDocumentation { .. } => "pretrain::no_documentation",
            Self::Record { .. } => "pretrain::record",
            Self::Tokenizer { .. } => "pretrain::tokenizer",
            Self::Train { source } => source.code(),
            Self::Model { source } => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDocumentation { .. } => Some("rustup component add rust-docs".to_owned()),
            Self::Record { .. } => Some("run the previous stage again".to_owned()),
            Self::Train { source } => source.hint(),
            Self::Model { source } => source.hint(),
            Self::Io { .. } | Self::Tokenizer { .. } => None,
        }
    }
}

impl From<graft_nn::NnError> for PretrainError {
    fn from(source: graft_nn::NnError) -> Self {
        Self::Train { source: source.into() }
    }
}
