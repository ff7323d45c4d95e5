//! Errors of the measurements.

use graft_spec::Hint;

/// `std::result::Result` with [`BenchError`].
pub type Result<T> = std::result::Result<T, BenchError>;

/// An error of the measurements.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The model cannot be created.
    #[error("cannot create the model")]
    Model {
        /// Why.
        #[from]
        source: graft_models::ModelError,
    },
    /// The device is not available.
    #[error(transparent)]
    Device {
        /// Why.
        #[from]
        source: graft_nn::NnError,
    },
    /// No NVIDIA GPU was found.
    #[error("no NVIDIA GPU found: `nvidia-smi` {output}")]
    NoGpu {
        /// The problem with `nvidia-smi`, or the first line of its output.
        output: String,
    },
    /// The adapter cannot be attached.
    #[error("cannot attach the adapter")]
    Adapter {
        /// Why.
        #[from]
        source: graft_peft::PeftError,
    },
    /// Graft's training failed.
    #[error("training failed")]
    Training {
        /// Why.
        #[from]
        source: graft_train::TrainError,
    },
    /// candle failed.
    #[error("candle failed")]
    Candle {
        /// The error of candle.
        #[from]
        source: candle_core::Error,
    },
    /// A backend failed or did not print its measurements.
    #[error("{backend} printed no measurements: {output}")]
    Backend {
        /// The name of the backend.
        backend: String,
        /// The last line of its error output.
        output: String,
    },
    /// A file or a process could not be used.
    #[error("cannot {action}")]
    Io {
        /// The action, such as `create a folder`.
        action: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

impl BenchError {
    /// An input or output error during `action`.
    pub fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

impl Hint for BenchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Model { source } => source.code(),
            Self::Device { source } => source.code(),
            Self::NoGpu { .. } => "bench::no_gpu",
            Self::Adapter { source } => source.code(),
            Self::Training { source } => source.code(),
            Self::Candle { .. } => "bench::candle",
            Self::Backend { .. } => "bench::backend",
            Self::Io { .. } => "bench::io",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Model { source } => source.hint(),
            Self::Device { source } => source.hint(),
            Self::NoGpu { .. } => Some(
                "copy this program to a machine with an NVIDIA GPU and driver, and run it there"
                    .to_owned(),
            ),
            Self::Adapter { source } => source.hint(),
            Self::Training { source } => source.hint(),
            Self::Backend { backend, .. } => {
                Some(format!("run it alone to see its output: graft-bench step {backend}"))
            }
            Self::Candle { .. } | Self::Io { .. } => None,
        }
    }
}
