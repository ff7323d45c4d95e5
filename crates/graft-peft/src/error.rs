//! What can go wrong with an adapter, in words a learner can act on.

use std::path::PathBuf;

use graft_nn::{NnError, message::first_names, tensor_file::TensorFileError};
use graft_spec::{Failure, Hint, methods::METHODS};

/// Why an adapter cannot be attached, changed, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeftError {
    /// A target names no layer.
    #[error("no layer of `{model}` matches target `{target}`")]
    NoMatch {
        /// The base model.
        model: String,
        /// The target.
        target: String,
        /// The module that was probably meant.
        nearest: Option<String>,
        /// The modules there are, each kind once.
        modules: Vec<String>,
    },
    /// A target is a regular expression that cannot be read.
    #[error("`{pattern}` is not a valid regular expression: {problem}")]
    BadPattern {
        /// The target.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
    /// The rank is larger than a layer has use for.
    #[error("r = {r} is larger than the smaller side of `{path}` ({d_out} × {d_in})")]
    RankTooLarge {
        /// The rank.
        r: usize,
        /// The layer.
        path: String,
        /// Width of its input.
        d_in: usize,
        /// Width of its output.
        d_out: usize,
    },
    /// What was asked for is not possible.
    #[error("{problem}")]
    Refused {
        /// Stable name.
        code: &'static str,
        /// What is not possible, and why.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A file that an adapter needs is not there.
    #[error("`{}` has no {file}", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
        /// What to do.
        hint: String,
    },
    /// adapter_config.json does not say what it should.
    #[error("`{}`: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The adapter uses something that is not built in, and would not act as it was trained to without it.
    #[error("the adapter in `{}` uses {feature}, which Graft does not have yet", folder.display())]
    Unsupported {
        /// The folder.
        folder: PathBuf,
        /// Such as `use_dora` or `the method HIRA`.
        feature: String,
    },
    /// The weights are pickled Python objects.
    #[error("`{file}` in `{}` is a Python pickle, which can run any code when it is read, so Graft does not read it", folder.display())]
    Pickled {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
    },
    /// A file's name belongs to something else, which may never end.
    #[error("`{}` is not a regular file, so it is not read", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file lacks weights that the adapter needs.
    #[error("{} of the {expected} weights that the adapter needs are not in `{}`: {}", names.len(), path.display(), first_names(names, 3))]
    MissingKeys {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
        /// How many there should be.
        expected: usize,
    },
    /// A weight has another shape than this model needs.
    #[error("`{name}` in `{}` has shape {found:?}, but this model needs {expected:?}", path.display())]
    WrongShape {
        /// The file, or what else held the weight.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// For this model.
        expected: Vec<usize>,
        /// In the file.
        found: Vec<usize>,
    },
    /// A weight is not stored as floating-point numbers.
    #[error("`{name}` in `{}` is stored as {found}, and the weights of an adapter must be floating-point numbers", path.display())]
    WrongType {
        /// The file, or what else held the weight.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Its type in the file.
        found: &'static str,
    },
    /// The adapter was trained after the vocabulary had been resized.
    #[error("`{name}` in `{}` is for {found} tokens, but this model has {vocab}: the adapter was trained after its vocabulary had been resized", path.display())]
    ResizedVocabulary {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Tokens of the adapter's vocabulary.
        found: usize,
        /// Tokens of the model's vocabulary.
        vocab: usize,
    },
    /// A tensor is larger than there is a reason or room for.
    #[error("{what} with shape {shape:?} {problem}")]
    TooLarge {
        /// Weight and layer.
        what: String,
        /// The shape asked for.
        shape: Vec<usize>,
        /// What it exceeds.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A weight is NaN or infinite.
    #[error("`{name}` holds NaN or infinite numbers")]
    NotFinite {
        /// Name of the weight.
        name: String,
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
    #[error("{}", .0.message)]
    Settings(#[from] Failure),
    /// A safetensors file cannot be read or written.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// A layer failed.
    #[error(transparent)]
    Layer(#[from] NnError),
}

impl PeftError {
    /// Something that is not possible, with what to do instead.
    pub(crate) fn refused(
        code: &'static str,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Refused { code, problem: problem.into(), hint: hint.into() }
    }
}

impl From<candle_core::Error> for PeftError {
    fn from(error: candle_core::Error) -> Self {
        Self::Layer(NnError::from(error))
    }
}

impl Hint for PeftError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoMatch { .. } => "peft::no_match",
            Self::BadPattern { .. } => "peft::bad_pattern",
            Self::RankTooLarge { .. } => "peft::rank_too_large",
            Self::Refused { code, .. } => code,
            Self::MissingFile { .. } => "peft::missing_file",
            Self::Malformed { .. } => "peft::malformed",
            Self::Unsupported { .. } => "peft::unsupported",
            Self::Pickled { .. } => "peft::pickled",
            Self::MissingKeys { .. } => "peft::missing_keys",
            Self::WrongShape { .. } => "peft::wrong_shape",
            Self::WrongType { .. } => "peft::wrong_type",
            Self::ResizedVocabulary { .. } => "peft::resized_vocabulary",
            Self::TooLarge { .. } => "peft::too_large",
            Self::NotAFile { .. } => "peft::not_a_file",
            Self::NotFinite { .. } => "peft::not_finite",
            Self::Io { .. } => "peft::io",
            Self::Settings(_) => "peft::settings",
            Self::File(error) => error.code(),
            Self::Layer(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoMatch { nearest, modules, .. } => {
                let nearest = nearest.as_ref().map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
                format!("{nearest}this model has {}; `all-linear` takes every one but the head", modules.join(", "))
            }
            Self::BadPattern { .. } => "a pattern must match the whole path, such as `.*\\.(0|1)\\..*(q_proj|v_proj)`; look-around is not supported".to_owned(),
            Self::RankTooLarge { d_in, d_out, .. } => format!("choose r of at most {}; 4 to 16 is usual", d_in.min(d_out)),
            Self::Refused { hint, .. } | Self::MissingFile { hint, .. } | Self::TooLarge { hint, .. } => hint.clone(),
            Self::Unsupported { .. } => {
                let mut names: Vec<_> = METHODS.iter().map(|spec| spec.peft_type).collect();
                // LoRA and DoRA share theirs and stand side by side.
                names.dedup();
                format!("supported methods: {}", names.join(", "))
            }
            Self::Pickled { folder, file } => conversion(&folder.display().to_string(), file),
            Self::NotAFile { .. } => "an adapter folder holds adapter_config.json and adapter_model.safetensors; copy the files themselves".to_owned(),
            Self::WrongType { .. } => "load the original adapter: quantized weights of adapters are not supported".to_owned(),
            Self::ResizedVocabulary { found, .. } => format!(
                "a loaded model cannot grow; in Python: model.resize_token_embeddings({found}); \
                 PeftModel.from_pretrained(model, ADAPTER).merge_and_unload().save_pretrained(DIR); then `%model load DIR`"
            ),
            Self::MissingKeys { .. } => "the file belongs to another model or to other target_modules than its adapter_config.json says".to_owned(),
            Self::WrongShape { .. } => "the adapter was made for another base model (see base_model_name_or_path in its adapter_config.json)".to_owned(),
            Self::NotFinite { .. } => "its training diverged: load an earlier checkpoint, or train with a lower learning rate".to_owned(),
            Self::Settings(failure) => return failure.hint.clone(),
            Self::File(error) => return error.hint(),
            Self::Layer(error) => return error.hint(),
            Self::Malformed { .. } => "adapter_config.json is written by `save`; a minimal one has peft_type, r and target_modules".to_owned(),
            Self::Io { .. } => return None,
        })
    }
}

/// The step that turns a pickle into safetensors; it runs no code of the pickle.
fn conversion(folder: &str, file: &str) -> String {
    let target = format!("{folder}/{}", crate::weights_file::NAME);
    format!(
        "convert it in Python: import torch, safetensors.torch; safetensors.torch.save_file(torch.load({:?}, weights_only=True), {target:?})",
        format!("{folder}/{file}")
    )
}
