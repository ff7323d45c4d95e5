//! What can stop a measurement.

use graft_spec::Hint;

/// `std::result::Result` with [`BenchError`].
pub type Result<T> = std::result::Result<T, BenchError>;

/// An error of the measurements.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The model cannot be made.
    #[error("the model cannot be made")]
    Model {
        /// Why.
        #[from]
        source: graft_models::ModelError,
    },
    /// The device cannot be had.
    #[error(transparent)]
    Device {
        /// Why.
        #[from]
        source: graft_nn::NnError,
    },
    /// No card to measure.
    #[error("no NVIDIA card here: `nvidia-smi` {said}")]
    NoGpu {
        /// `is not there`, or what it says.
        said: String,
    },
    /// The adapter cannot be attached.
    #[error("the adapter cannot be attached")]
    Adapter {
        /// Why.
        #[from]
        source: graft_peft::PeftError,
    },
    /// Graft's training failed.
    #[error("the training failed")]
    Training {
        /// Why.
        #[from]
        source: graft_train::TrainError,
    },
    /// candle failed.
    #[error("candle failed")]
    Candle {
        /// What it says.
        #[from]
        source: candle_core::Error,
    },
    /// A contender ended badly or said something else than its figures.
    #[error("{contender} gave no figures: {said}")]
    Backend {
        /// Its name.
        contender: String,
        /// Its last words.
        said: String,
    },
    /// A file or a process could not be used.
    #[error("cannot {action}")]
    Io {
        /// `start the contender`, `make a folder`.
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

impl BenchError {
    /// What the system says to `action`.
    pub fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

impl Hint for BenchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Model { source } => source.code(),
            Self::Device { source } => source.code(),
            Self::NoGpu { .. } => "bench::no_card",
            Self::Adapter { source } => source.code(),
            Self::Training { source } => source.code(),
            Self::Candle { .. } => "bench::candle",
            Self::Backend { .. } => "bench::contender",
            Self::Io { .. } => "bench::io",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Model { source } => source.hint(),
            Self::Device { source } => source.hint(),
            Self::NoGpu { .. } => Some("carry this program alone to a machine with a card and its driver, and call it there".to_owned()),
            Self::Adapter { source } => source.hint(),
            Self::Training { source } => source.hint(),
            Self::Backend { contender, .. } => Some(format!("run it alone to see all it says: graft-bench step {contender}")),
            Self::Candle { .. } | Self::Io { .. } => None,
        }
    }
}
