//! What can go wrong in a layer, and what to do about it.

use graft_spec::Hint;

/// `std::result::Result` with [`NnError`].
pub type Result<T> = std::result::Result<T, NnError>;

/// An error of a tensor operation, a layer or a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// candle refused an operation.
    #[error("tensor operation failed")]
    Tensor {
        /// What candle said.
        source: candle_core::Error,
    },
    /// The card has no memory left for a tensor.
    #[error("the card's memory is full")]
    GpuFull {
        /// What the driver said.
        source: candle_core::Error,
    },
    /// The card, or what the process had on it, is gone: the driver refuses everything from here on.
    #[error("the card no longer answers, and what lay on it is lost")]
    GpuLost {
        /// What the driver said.
        source: candle_core::Error,
    },
    /// An error inside a named layer.
    #[error("in {path}")]
    At {
        /// Hugging Face path of the layer.
        path: String,
        /// What happened there.
        #[source]
        source: Box<NnError>,
    },
    /// Two shapes do not fit.
    #[error("{what}: expected {expected}, found {found:?}")]
    Shape {
        /// The operand, in words.
        what: &'static str,
        /// The shape it should have, in words.
        expected: String,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A token, label or position lies outside its table.
    #[error("{what} {index} is outside 0..{limit}")]
    OutOfRange {
        /// `token`, `label` or `position`.
        what: &'static str,
        /// The value.
        index: i64,
        /// One past the last allowed value.
        limit: usize,
    },
    /// A NaN or an infinity where there must be none.
    #[error("{what} holds a NaN or an infinity")]
    NotFinite {
        /// What, in words.
        what: &'static str,
    },
    /// A parameter to be trained took no part in the loss.
    #[error("no gradient reached `{name}`")]
    MissingGradient {
        /// Name of the parameter.
        name: String,
    },
    /// The model is an encoder without a head.
    #[error("a `{family}` encoder gives hidden states and no logits")]
    NoHead {
        /// `model_type` of the model.
        family: String,
    },
    /// A method's schedule does not fit the training.
    #[error("{what} leave no room in a training of {steps} steps")]
    Schedule {
        /// The keys and their values.
        what: String,
        /// Steps of the training.
        steps: u64,
    },
    /// The build has no code for NVIDIA cards.
    #[error("this build computes on the processor only, and the session stays on the processor")]
    NoCuda,
    /// The card, its driver or a library of NVIDIA's is missing or does not answer.
    #[error("no usable NVIDIA card ({reason}); the session stays on the processor")]
    NoGpu {
        /// What the driver says.
        reason: String,
    },
    /// No such device, or this build cannot use it.
    #[error("device `{name}` is not available")]
    Device {
        /// What was asked for.
        name: String,
        /// Names that work here.
        available: Vec<&'static str>,
    },
}

/// How CUDA's libraries name an allocation that failed.
const FULL: &[&str] = &["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"];

/// Errors after which the driver answers every later call of the process with the same error (CUDA Driver API, `CUresult`: "the process must be
/// terminated and relaunched"), and those of a card that fell off its bus.
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
    /// candle hands the driver's errors on as text alone.
    fn from(source: candle_core::Error) -> Self {
        let said = source.to_string();
        let names = |errors: &[&str]| errors.iter().any(|error| said.contains(error));
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
    /// For operations that candle calls: the whole chain of causes, since candle keeps no source.
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
    /// Adds the path of the layer in which `error` happened; the innermost path is kept, since it says most.
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
        match self {
            Self::At { source, .. } => source.hint(),
            Self::GpuFull { .. } => Some(
                "it gave back what it had taken for this; try a smaller batch or batch=auto, a shorter max_length, gradient_checkpointing=true or \
                 %model load MODEL load_in_4bit=true; %memory shows what takes how much"
                    .to_owned(),
            ),
            Self::GpuLost { .. } => {
                Some("restart the kernel: checkpoints are whole, and %resume RUN goes on; `graft doctor --gpu` says whether the card is there again".to_owned())
            }
            Self::NotFinite { .. } => Some("the file is damaged: copy or download it again".to_owned()),
            Self::MissingGradient { .. } => Some("its layer must take part in the loss: is the adapter active?".to_owned()),
            Self::NoHead { .. } => Some("load it with a head for classes: %model load PATH num_labels=6".to_owned()),
            Self::Schedule { steps, .. } => Some(format!("train for more steps, or attach with a sum below {steps}")),
            Self::NoCuda => Some("`cargo xtask cuda-build` makes one for NVIDIA cards".to_owned()),
            Self::NoGpu { .. } => Some("`graft doctor --gpu` in a terminal says what is missing".to_owned()),
            Self::Device { available, .. } => Some(format!("this build can use {}", available.join(", "))),
            Self::OutOfRange { what: "position", limit, .. } => Some(format!("the model reads at most {limit} positions: shorten the text")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> NnError {
        NnError::at_path(candle_core::Error::Cuda(text.into()), "model.layers.3")
    }

    #[test]
    fn a_full_card_is_told_from_a_lost_one_and_both_from_a_wrong_operation() {
        let full = said("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        assert_eq!(full.code(), "nn::gpu_full");
        assert!(full.hint().expect("a hint").contains("batch=auto"));
        let lost = said(
            "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access was encountered\")",
        );
        assert_eq!(lost.code(), "nn::gpu_lost");
        assert!(lost.hint().expect("a hint").contains("%resume"));
        assert_eq!(
            said("DriverError(CUDA_ERROR_INVALID_VALUE, \"invalid argument\")").code(),
            "nn::tensor"
        );
    }

    #[test]
    fn a_full_card_is_seen_through_what_candle_puts_around_it() {
        let inner = candle_core::Error::Cuda("CublasError(CUBLAS_STATUS_ALLOC_FAILED)".into());
        assert_eq!(NnError::from(inner.context("in a product")).code(), "nn::gpu_full");
        let through = candle_core::Error::from(said(
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
        ));
        assert!(
            through.to_string().starts_with("in model.layers.3: the card's memory is full: "),
            "{through}"
        );
        assert_eq!(NnError::from(through).code(), "nn::gpu_full");
    }
}
