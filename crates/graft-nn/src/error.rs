//! What can go wrong in a layer, and what to do about it.

use graft_protocol::Hint;

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
        #[from]
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
    NoCard {
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
            Self::At { source, .. } => source.code(),
            Self::Shape { .. } => "nn::shape",
            Self::OutOfRange { .. } => "nn::out_of_range",
            Self::NotFinite { .. } => "nn::not_finite",
            Self::MissingGradient { .. } => "nn::missing_gradient",
            Self::NoHead { .. } => "nn::no_head",
            Self::Schedule { .. } => "nn::schedule",
            Self::Device { .. } | Self::NoCuda | Self::NoCard { .. } => "nn::device",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::At { source, .. } => source.hint(),
            Self::NotFinite { .. } => Some("the file is damaged: copy or download it again".to_owned()),
            Self::MissingGradient { .. } => Some("its layer must take part in the loss: is the adapter active?".to_owned()),
            Self::NoHead { .. } => Some("load it with a head for classes: %model load PATH num_labels=6".to_owned()),
            Self::Schedule { steps, .. } => Some(format!("train for more steps, or attach with a sum below {steps}")),
            Self::NoCuda => Some("`cargo xtask cuda-build` makes one for NVIDIA cards".to_owned()),
            Self::NoCard { .. } => Some("`graft doctor --gpu` in a terminal says what is missing".to_owned()),
            Self::Device { available, .. } => Some(format!("this build can use {}", available.join(", "))),
            Self::OutOfRange { what: "position", limit, .. } => Some(format!("the model reads at most {limit} positions: shorten the text")),
            _ => None,
        }
    }
}
