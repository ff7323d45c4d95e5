//! Errors of loading, saving and running a model, with hints.

use std::path::PathBuf;

use graft_nn::{NnError, message::first_names, tensor_file::TensorFileError};
use graft_spec::{Hint, SpecError};

/// An error of loading, saving or running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The embedded model is not in the assets folder.
    #[error("the embedded model `tiny` is not in `{}`", folder.display())]
    NoTiny {
        /// The folder that was searched.
        folder: PathBuf,
    },
    /// The name is neither a known model nor a folder.
    #[error("unknown model `{name}`")]
    UnknownModel {
        /// The name.
        name: String,
        /// The most similar known name.
        nearest: Option<String>,
        /// All known names: `tiny`, folders with a config.json, and GGUF files.
        known: Vec<String>,
    },
    /// A path that does not exist.
    #[error("`{path}` does not exist")]
    MissingPath {
        /// The path, as given.
        path: String,
        /// What to do.
        hint: String,
    },
    /// A required file is missing.
    #[error("`{}` has no {file}", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
        /// The hint.
        hint: String,
    },
    /// A file of the model is invalid or not supported.
    #[error("`{}`: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The model belongs to a family that is not supported.
    #[error("`{}` is a `{model_type}` model, which is not supported yet", path.display())]
    UnsupportedFamily {
        /// Its config.json, or the GGUF file.
        path: PathBuf,
        /// Its `model_type`.
        model_type: String,
        /// The families that can be loaded from such a file.
        supported: Vec<&'static str>,
    },
    /// The weights are pickled Python objects.
    #[error(
        "`{file}` in `{}` is a Python pickle, which can execute arbitrary code when loaded, \
         so Graft does not read it",
        folder.display()
    )]
    Pickled {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
    },
    /// Weights that the config requires are missing in the files.
    #[error(
        "`{}` is missing {} of the {expected} weights that config.json requires: {}",
        folder.display(), names.len(), first_names(names, 4)
    )]
    MissingWeights {
        /// The folder.
        folder: PathBuf,
        /// Their names.
        names: Vec<String>,
        /// Number of weights that the config requires.
        expected: usize,
    },
    /// The shape of a weight differs from that of the config.
    #[error(
        "`{name}` in `{}` has shape {found:?}, but config.json requires {expected:?}",
        folder.display()
    )]
    WrongShape {
        /// The folder.
        folder: PathBuf,
        /// Name of the weight.
        name: String,
        /// The shape that config.json requires.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The tokenizer has more ids than the model has embeddings.
    #[error(
        "the tokenizer `{}` has ids up to {highest}, but the model has only {vocab} embeddings",
        path.display()
    )]
    TokenizerMismatch {
        /// The tokenizer.json.
        path: PathBuf,
        /// Its highest id.
        highest: u32,
        /// Rows of the embedding.
        vocab: usize,
    },
    /// The model could not be downloaded from the Hub.
    #[error("could not download `{name}` from the Hugging Face Hub: {problem}")]
    Hub {
        /// `ORG/NAME`.
        name: String,
        /// The problem.
        problem: String,
        /// The hint.
        hint: String,
    },
    /// The prompt is invalid for this model.
    #[error("{problem}")]
    Prompt {
        /// Error code, such as `models::prompt_too_long` or `models::empty_prompt`.
        code: &'static str,
        /// The problem.
        problem: String,
        /// The hint.
        hint: String,
    },
    /// The model computed NaN or infinite logits.
    #[error("the model's output at token {position} is not finite")]
    NotFinite {
        /// Position in the text.
        position: usize,
    },
    /// A weight in the files contains NaN or infinite values.
    #[error("`{name}` in `{}` contains NaN or infinite values", path.display())]
    NotFiniteWeight {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
    },
    /// The weights need more memory than is free.
    #[error(
        "the weights need {} as {dtype}, but only {} of memory is free",
        bytes(*needed), bytes(*left)
    )]
    Memory {
        /// Bytes that the weights need.
        needed: u64,
        /// Free bytes.
        left: u64,
        /// Type in which matrices are stored.
        dtype: &'static str,
    },
    /// The file system reported an error.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A classification head is wanted in a family that has none.
    #[error("models of this family have no classification head for `num_labels`")]
    NoClassifier {
        /// The families that have one.
        supported: Vec<&'static str>,
    },
    /// Quantization to both 4 and 8 bits is wanted.
    #[error("load_in_4bit and load_in_8bit cannot both be true")]
    TwoQuantizations,
    /// A setting has an invalid value.
    #[error(transparent)]
    Settings(#[from] SpecError),
    /// Reading or writing a safetensors file failed.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// An operation of a layer failed.
    #[error(transparent)]
    Layer(#[from] NnError),
}

impl Hint for ModelError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoTiny { .. } => "models::no_tiny",
            Self::UnknownModel { .. } => "models::unknown_model",
            Self::MissingPath { .. } => "models::missing_path",
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
            Self::NoClassifier { .. } => "models::no_classifier",
            Self::TwoQuantizations => "models::two_quantizations",
            Self::Settings(_) => "models::settings",
            Self::File(error) => error.code(),
            Self::Layer(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoTiny { .. } => {
                "build it with `cargo xtask pretrain`, or load a folder: %model load DIR".to_owned()
            }
            Self::UnknownModel { nearest, known, .. } => {
                let nearest = nearest
                    .as_ref()
                    .map(|name| match name.contains('/') {
                        true => format!(
                            "did you mean `{name}`, which is downloaded from the Hugging Face \
                             Hub? "
                        ),
                        false => format!("did you mean `{name}`? "),
                    })
                    .unwrap_or_default();
                format!(
                    "{nearest}available: {}; a Hugging Face folder or ORG/NAME on the Hub \
                     also works",
                    known.join(", ")
                )
            }
            Self::MissingPath { hint, .. }
            | Self::MissingFile { hint, .. }
            | Self::Hub { hint, .. }
            | Self::Prompt { hint, .. } => hint.clone(),
            Self::UnsupportedFamily { supported, .. } => {
                format!("supported families: {}", supported.join(", "))
            }
            Self::Pickled { .. } => "convert it with transformers, which writes safetensors: \
                 AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW)"
                .to_owned(),
            Self::MissingWeights { .. } | Self::WrongShape { .. } => {
                "config.json and the safetensors files belong to different models, or a \
                 shard is missing"
                    .to_owned()
            }
            Self::TokenizerMismatch { highest, .. } => format!(
                "use the tokenizer.json that came with this model, or give the model more \
                 embeddings with `resize_tokens={}`",
                u64::from(*highest) + 1
            ),
            Self::NotFinite { .. } => {
                "the weights or an adapter contain NaN or infinite values; detach the \
                 adapter, or load the model again"
                    .to_owned()
            }
            Self::NotFiniteWeight { .. } => {
                "the file is damaged, or the training run that wrote it diverged; copy or \
                 download it again"
                    .to_owned()
            }
            Self::Memory { dtype: "f32", .. } => {
                "load it with dtype=bf16, which needs half the memory, choose a smaller \
                 model, or free memory (%model load unloads the current model)"
                    .to_owned()
            }
            Self::Memory { .. } => {
                "choose a smaller model or one quantized to 4 bits (GGUF, bitsandbytes), or \
                 free memory"
                    .to_owned()
            }
            Self::NoClassifier { supported } => format!(
                "leave it out: a language model learns labels as text, see %data load which-book \
                 and %train; these families have such a head: {}",
                supported.join(", ")
            ),
            Self::TwoQuantizations => "4 bits use half the memory of 8 bits; 8 bits are about ten \
                 times more accurate"
                .to_owned(),
            Self::Settings(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::Layer(error) => return error.hint(),
            Self::Malformed { .. } | Self::Io { .. } => return None,
        })
    }
}

/// A number of bytes in MB or GB.
fn bytes(count: u64) -> String {
    match count as f64 {
        count if count >= 1e9 => format!("{:.1} GB", count / 1e9),
        count => format!("{:.1} MB", count / 1e6),
    }
}
