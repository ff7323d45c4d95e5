//! Errors of tensor operations, layers and devices, with hints.

use graft_spec::Hint;

/// `std::result::Result` with [`NnError`].
pub type Result<T> = std::result::Result<T, NnError>;

/// An error of a tensor operation, a layer or a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A candle operation failed.
    #[error("tensor operation failed")]
    Tensor {
        /// The error that candle reported.
        source: candle_core::Error,
    },
    /// The GPU has too little free memory for a tensor.
    #[error("out of GPU memory")]
    GpuFull {
        /// The error that the driver reported.
        source: candle_core::Error,
    },
    /// The GPU or its context is lost: the driver rejects every further call of this process.
    #[error("the GPU stopped responding; its memory contents are lost")]
    GpuLost {
        /// The error that the driver reported.
        source: candle_core::Error,
    },
    /// An error inside a named layer.
    #[error("in {path}")]
    At {
        /// Hugging Face path of the layer.
        path: String,
        /// The error in that layer.
        #[source]
        source: Box<NnError>,
    },
    /// A tensor has the wrong shape.
    #[error("{what}: expected {expected}, found {found:?}")]
    Shape {
        /// Description of the operand.
        what: &'static str,
        /// Description of the expected shape.
        expected: String,
        /// The actual shape.
        found: Vec<usize>,
    },
    /// A token, label, position or layer index is out of range.
    #[error("{what} {index} is outside 0..{limit}")]
    OutOfRange {
        /// `token`, `label`, `position` or `layer`.
        what: &'static str,
        /// The index.
        index: i64,
        /// One past the largest valid index.
        limit: usize,
    },
    /// A tensor contains NaN or infinite values.
    #[error("{what} contains NaN or infinite values")]
    NotFinite {
        /// Description of the tensor.
        what: &'static str,
    },
    /// A trainable parameter did not take part in the loss.
    #[error("no gradient reached `{name}`")]
    MissingGradient {
        /// Name of the parameter.
        name: String,
    },
    /// The model is a bare encoder without a head.
    #[error("this `{family}` encoder has no head, so it computes no logits")]
    NoHead {
        /// `model_type` of the model.
        family: String,
    },
    /// A method's schedule does not fit into the training run.
    #[error("{what} do not fit into {steps} training steps")]
    Schedule {
        /// The keys and their values.
        what: String,
        /// Number of steps of the training run.
        steps: u64,
    },
    /// The build has no CUDA support.
    #[error("this build has no CUDA support; the session stays on the CPU")]
    NoCuda,
    /// The GPU, its driver or one of NVIDIA's libraries is missing or not working.
    #[error("no usable NVIDIA GPU ({reason}); the session stays on the CPU")]
    NoGpu {
        /// The reason that the driver reported.
        reason: String,
    },
    /// The device does not exist or is not supported by this build.
    #[error("device `{name}` is not available")]
    Device {
        /// The requested name.
        name: String,
        /// Names that this build supports.
        available: Vec<&'static str>,
    },
}

/// CUDA's names of a failed allocation.
const FULL: &[&str] = &["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"];

/// Errors after which the driver fails every later call of the process (CUDA Driver API,
/// `CUresult`: "the process must be terminated and relaunched"), and those of a GPU that fell off
/// its bus.
const LOST: &[&str] = &[
    "CUDA_ERROR_ILLEGAL_ADDRESS",
    "CUDA_ERROR_LAUNCH_FAILED",
    "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_DEVICE_UNAVAILABLE",
    "CUDA_ERROR_CONTEXT_IS_DESTROYED",
    "CUDA_ERROR_EXTERNAL_DEVICE",
    "CUDA_ERROR_UNKNOWN",
];

impl From<candle_core::Error> for NnError {
    /// candle passes the driver's errors on as text only, so they are recognized by name.
    fn from(source: candle_core::Error) -> Self {
        let message = source.to_string();
        let names = |errors: &[&str]| errors.iter().any(|error| message.contains(error));
        if names(FULL) {
            Self::GpuFull { source }
        } else if names(LOST) {
            Self::GpuLost { source }
        } else {
            Self::Tensor { source }
        }
    }
}

impl From<NnError> for candle_core::Error {
    /// For operations that candle calls: the whole chain of causes as text, because candle keeps no
    /// source.
    fn from(error: NnError) -> Self {
        let mut chain = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause {
            chain = format!("{chain}: {deeper}");
            cause = deeper.source();
        }
        Self::msg(chain)
    }
}

impl NnError {
    /// Adds the path of the layer in which `error` occurred. An error that has a path keeps it,
    /// because the innermost layer is the most specific.
    pub fn at_path(error: impl Into<NnError>, path: &str) -> Self {
        match error.into() {
            located @ Self::At { .. } => located,
            other => Self::At { path: path.to_owned(), source: Box::new(other) },
        }
    }
}

impl Hint for NnError {
    fn code(&self) -> &'static str {
        match self {
            Self::Tensor { .. } => "nn::tensor",
            Self::GpuFull { .. } => "nn::gpu_full",
            Self::GpuLost { .. } => "nn::gpu_lost",
            Self::At { source, .. } => source.code(),
            Self::Shape { .. } => "nn::shape",
            Self::OutOfRange { .. } => "nn::out_of_range",
            Self::NotFinite { .. } => "nn::not_finite",
            Self::MissingGradient { .. } => "nn::missing_gradient",
            Self::NoHead { .. } => "nn::no_head",
            Self::Schedule { .. } => "nn::schedule",
            Self::Device { .. } | Self::NoCuda | Self::NoGpu { .. } => "nn::device",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::At { source, .. } => return source.hint(),
            Self::GpuFull { .. } => {
                "memory was released; try a smaller batch or batch=auto, a shorter max_length, \
                 gradient_checkpointing=true or %model load MODEL load_in_4bit=true; `%memory` \
                 shows the breakdown"
            }
            Self::GpuLost { .. } => {
                "restart the kernel: the checkpoints are intact, and %resume RUN continues the \
                 run; `graft doctor --gpu` checks the GPU"
            }
            Self::NotFinite { .. } => "the file is damaged: copy or download it again",
            Self::MissingGradient { .. } => {
                "its layer must take part in the loss: is the adapter active?"
            }
            Self::NoHead { .. } => {
                "load it with a classification head: %model load PATH num_labels=6"
            }
            Self::NoCuda => "`cargo xtask cuda-build` builds Graft with CUDA support",
            Self::NoGpu { .. } => {
                "run `graft doctor --gpu` in a terminal to find out what is missing"
            }
            Self::Schedule { steps, .. } => {
                return Some(format!("train for more steps, or attach with a sum below {steps}"));
            }
            Self::Device { available, .. } => {
                return Some(format!("this build supports {}", available.join(", ")));
            }
            Self::OutOfRange { what: "position", limit, .. } => {
                return Some(format!("the model's context is {limit} tokens: shorten the text"));
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(text: &str) -> NnError {
        NnError::at_path(candle_core::Error::Cuda(text.into()), "model.layers.3")
    }

    #[test]
    fn a_full_gpu_a_lost_gpu_and_a_wrong_operation_have_different_codes() {
        let full = located("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        assert_eq!(full.code(), "nn::gpu_full");
        assert!(full.hint().expect("a hint").contains("batch=auto"));
        let lost = located(
            "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access was encountered\")",
        );
        assert_eq!(lost.code(), "nn::gpu_lost");
        assert!(lost.hint().expect("a hint").contains("%resume"));
        assert_eq!(
            located("DriverError(CUDA_ERROR_INVALID_VALUE, \"invalid argument\")").code(),
            "nn::tensor"
        );
    }

    #[test]
    fn a_full_gpu_is_recognized_inside_candles_context() {
        let inner = candle_core::Error::Cuda("CublasError(CUBLAS_STATUS_ALLOC_FAILED)".into());
        assert_eq!(NnError::from(inner.context("in a product")).code(), "nn::gpu_full");
        let through = candle_core::Error::from(located(
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
        ));
        assert!(
            through.to_string().starts_with("in model.layers.3: out of GPU memory: "),
            "{through}"
        );
        assert_eq!(NnError::from(through).code(), "nn::gpu_full");
    }
}
