//! What can go wrong with a model, in words a learner can act on.

use std::path::PathBuf;

use graft_nn::{NnError, tensor_file::TensorFileError};
use graft_spec::{Failure, Hint};

use crate::families;

/// Why a model cannot be loaded, saved or made to write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The embedded model is not where it should be.
    #[error("the embedded model `tiny` is not in `{}`", folder.display())]
    NoTiny {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The word is no model that is known.
    #[error("there is no model `{name}`")]
    UnknownModel {
        /// The word.
        name: String,
        /// The nearest known one.
        nearest: Option<String>,
        /// All that are known: `tiny` and folders with a config.json.
        known: Vec<String>,
    },
    /// A file that a model needs is not there.
    #[error("`{}` has no {file}", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
        /// What to do.
        hint: String,
    },
    /// config.json, the index or the tokenizer does not say what it should.
    #[error("`{}`: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The model is of a family that is not built in.
    #[error("`{}` is a `{model_type}` model, which is not supported yet", path.display())]
    UnsupportedFamily {
        /// Its config.json.
        path: PathBuf,
        /// What it says.
        model_type: String,
    },
    /// The weights are pickled Python objects.
    #[error("`{file}` in `{}` is a Python pickle, which can run any code when it is read, so it is refused", folder.display())]
    Pickled {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
    },
    /// The files lack weights that the config asks for.
    #[error("{} of the {expected} weights that config.json asks for are not in `{}`: {}", names.len(), folder.display(), first(names))]
    MissingWeights {
        /// The folder.
        folder: PathBuf,
        /// Their names.
        names: Vec<String>,
        /// How many there should be.
        expected: usize,
    },
    /// A weight has another shape than the config says.
    #[error("`{name}` in `{}` has shape {found:?}, but config.json says {expected:?}", folder.display())]
    WrongShape {
        /// The folder.
        folder: PathBuf,
        /// Name of the weight.
        name: String,
        /// By config.json.
        expected: Vec<usize>,
        /// In the file.
        found: Vec<usize>,
    },
    /// The tokenizer knows ids that the model has no embedding for.
    #[error("the tokenizer `{}` has ids up to {highest}, but the model has only {vocab} embeddings", path.display())]
    TokenizerMismatch {
        /// The tokenizer.json.
        path: PathBuf,
        /// Its highest id.
        highest: u32,
        /// Rows of the embedding.
        vocab: usize,
    },
    /// The Hub did not give the model.
    #[error("`{name}` cannot be had from the Hugging Face Hub: {problem}")]
    Hub {
        /// `ORG/NAME`.
        name: String,
        /// What happened.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The prompt cannot be continued.
    #[error("{problem}")]
    Prompt {
        /// Code: `models::prompt_too_long` or `models::empty_prompt`.
        code: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The model computed something that is not a number.
    #[error("the model's output at token {position} is not finite")]
    NotFinite {
        /// Position in the text.
        position: usize,
    },
    /// A weight in the files holds a NaN or an infinity.
    #[error("`{name}` in `{}` holds a NaN or an infinity", path.display())]
    NotFiniteWeight {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
    },
    /// The weights need more memory than is left.
    #[error("the weights need {} as {dtype}, and {} of memory is free", bytes(*needed), bytes(*left))]
    Memory {
        /// Bytes that they need.
        needed: u64,
        /// Bytes that are left.
        left: u64,
        /// How matrices are kept.
        dtype: &'static str,
    },
    /// The file system refuses.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A key has a value that it cannot have.
    #[error(transparent)]
    Settings(#[from] Failure),
    /// A safetensors file cannot be read or written.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// A layer failed.
    #[error(transparent)]
    Layer(#[from] NnError),
}

impl Hint for ModelError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoTiny { .. } => "models::no_tiny",
            Self::UnknownModel { .. } => "models::unknown_model",
            Self::MissingFile { .. } => "models::missing_file",
            Self::Malformed { .. } => "models::malformed",
            Self::UnsupportedFamily { .. } => "models::unsupported_family",
            Self::Pickled { .. } => "models::pickled",
            Self::MissingWeights { .. } => "models::missing_weights",
            Self::WrongShape { .. } => "models::wrong_shape",
            Self::TokenizerMismatch { .. } => "models::tokenizer_mismatch",
            Self::Hub { .. } => "models::hub",
            Self::Prompt { code, .. } => code,
            Self::NotFinite { .. } => "models::not_finite",
            Self::NotFiniteWeight { .. } => "models::not_finite_weight",
            Self::Memory { .. } => "models::memory",
            Self::Io { .. } => "models::io",
            Self::Settings(_) => "models::settings",
            Self::File(error) => error.code(),
            Self::Layer(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoTiny { .. } => "make it with `cargo xtask pretrain`, or give a folder: %model load DIR".to_owned(),
            Self::UnknownModel { nearest, known, .. } => {
                let nearest = nearest.as_ref().map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
                format!("{nearest}there is {}; a Hugging Face folder or ORG/NAME on the Hub works as well", known.join(", "))
            }
            Self::MissingFile { hint, .. } | Self::Hub { hint, .. } | Self::Prompt { hint, .. } => hint.clone(),
            Self::UnsupportedFamily { .. } => format!("supported families: {}", families::names().join(", ")),
            Self::Pickled { .. } => {
                "convert it with transformers: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW) writes safetensors".to_owned()
            }
            Self::MissingWeights { .. } | Self::WrongShape { .. } => {
                "config.json and the safetensors files belong to different models, or a shard is missing".to_owned()
            }
            Self::TokenizerMismatch { .. } => "use the tokenizer.json that came with this model".to_owned(),
            Self::NotFinite { .. } => "the weights or an adapter hold NaN or infinite numbers; detach the adapter, or load the model again".to_owned(),
            Self::NotFiniteWeight { .. } => "the file is damaged, or the training that wrote it diverged: copy or download it again".to_owned(),
            Self::Memory { dtype: "f32", .. } => {
                "load it with dtype=bf16, which halves that, choose a smaller model, or free memory (%model load drops the model before)".to_owned()
            }
            Self::Memory { .. } => "choose a smaller model or one packed in 4 bits (GGUF, bitsandbytes), or free memory".to_owned(),
            Self::Settings(failure) => return failure.hint.clone(),
            Self::File(error) => return error.hint(),
            Self::Layer(error) => return error.hint(),
            Self::Malformed { .. } | Self::Io { .. } => return None,
        })
    }
}

/// The first few of many names.
fn first(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(4).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// A number of bytes for a reader.
fn bytes(count: u64) -> String {
    match count as f64 {
        count if count >= 1e9 => format!("{:.1} GB", count / 1e9),
        count => format!("{:.1} MB", count / 1e6),
    }
}
