//! Loading a model: the embedded one, a Hugging Face folder, a GGUF file, or from the Hub.

mod chat;
mod content;
mod hub;
mod model;
mod names;
mod open_weights;
mod original;
mod packing;
mod resized;
mod safetensors_folder;
mod source;
mod unused;
mod weights;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use graft_nn::{DType, Device, Model, TokenEncoder};
use graft_spec::{Settings, training::MODEL};
use serde_json::Value;

use crate::{
    ModelError, Tokenizer,
    gguf::{Gguf, is_gguf},
    side_file,
};
use model::{Changes, load_as};
pub use original::OriginalWeights;
use resized::VocabSize;

/// Maximum size of a model card in bytes.
const MAX_MODEL_CARD: u64 = 4 << 20;

/// A loaded model with its tokenizer, config and origin.
pub struct Loaded {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Its tokenizer, with the chat templates.
    pub tokenizer: Arc<Tokenizer>,
    /// The name given by the user: `tiny`, a folder, a file, or `ORG/NAME`.
    pub name: String,
    /// Absolute path of the folder or GGUF file.
    pub source: PathBuf,
    /// The model card, README.md, if there is one.
    pub card: Option<String>,
    /// config.json, or the equivalent of a GGUF file's metadata.
    pub config_json: Value,
    /// Fingerprint of config.json and the weights, which identifies the base model of a checkpoint.
    pub content_hash: String,
    /// Warnings, such as unused weights.
    pub warnings: Vec<String>,
    /// Number of weights in the files that the model uses, and of all weights in the files.
    pub keys: (usize, usize),
    /// Tokens that were added to the tokenizer, with their ids.
    pub added_tokens: Vec<(String, u32)>,
    /// Whether the model has another number of tokens than its files.
    pub is_resized: bool,
}

/// A model without its tokenizer: the result of [`load_model`].
pub struct ModelFiles {
    /// The model.
    pub model: Arc<dyn Model>,
    /// config.json.
    pub config_json: Value,
    /// Fingerprint of config.json and the weights.
    pub content_hash: String,
    /// Warnings, such as unused weights.
    pub warnings: Vec<String>,
    /// Number of weights in the files that the model uses, and of all weights in the files.
    pub keys: (usize, usize),
    /// Whether the model has another number of tokens than its files.
    pub is_resized: bool,
}

/// Loads `tiny`, a folder, a GGUF file, or `ORG/NAME` from the Hub. The keys of `settings` are
/// those of [`MODEL`]; `progress` is called with the current item, the amount done and the total.
///
/// # Errors
/// Any [`ModelError`] of loading, with the file and a hint.
pub fn load(
    source: &str,
    settings: &Settings,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Loaded, ModelError> {
    settings.check(MODEL)?;
    let quantization = packing::asked(settings)?;
    let place = source::find(source, settings, progress)?;
    // Resolved now, because the current folder may change before saving reads this path again.
    let absolute = std::path::absolute(&place).unwrap_or_else(|_| place.clone());
    // Read first, because a wrong folder most likely has no config; it is read again later.
    config_of(&place)?;
    let (mut tokenizer, tokenizer_path) = match is_gguf(&place) {
        true => (Gguf::open(&place)?.tokenizer()?, place.clone()),
        false => (Tokenizer::from_folder(&place)?, place.join("tokenizer.json")),
    };
    let added_tokens = tokenizer.add(&settings.list(MODEL, "added_tokens").unwrap_or_default())?;
    let changes = changes(settings, (!added_tokens.is_empty()).then_some(tokenizer.vocab()));
    let files = load_as(&place, dtype(settings), changes, device, progress)?;
    check_vocab(&tokenizer, tokenizer_path, files.model.shape().vocab)?;
    if let Some(quantization) = quantization {
        packing::pack(&*files.model, quantization, progress)?;
    }
    let model_card =
        graft_spec::user_file::read_text(&place.join("README.md"), MAX_MODEL_CARD).ok();
    let ModelFiles { model, config_json, content_hash, mut warnings, keys, is_resized } = files;
    let templates = chat::templates((source, &place), &tokenizer, &mut warnings);
    Ok(Loaded {
        model,
        tokenizer: Arc::new(tokenizer.with_chat_templates(templates)),
        name: source.to_owned(),
        source: absolute,
        card: model_card,
        config_json,
        content_hash,
        warnings,
        keys,
        added_tokens,
        is_resized,
    })
}

/// What differs from the files; `tokens` is the size of a tokenizer to which tokens were added.
fn changes(settings: &Settings, tokens: Option<usize>) -> Changes {
    let whole = |key| settings.integer(MODEL, key).and_then(|value| usize::try_from(value).ok());
    let vocab = match (whole("resize_tokens"), tokens) {
        (Some(vocab), _) => VocabSize::Exactly(vocab),
        (None, Some(tokens)) => VocabSize::AtLeast(tokens),
        (None, None) => VocabSize::AsStored,
    };
    Changes { labels: whole("num_labels"), vocab }
}

/// Checks that the model has an embedding for every id of the tokenizer.
fn check_vocab(tokenizer: &Tokenizer, path: PathBuf, vocab: usize) -> Result<(), ModelError> {
    if tokenizer.vocab() <= vocab {
        return Ok(());
    }
    let highest = (tokenizer.vocab() - 1) as u32;
    Err(ModelError::TokenizerMismatch { path, highest, vocab })
}

/// Loads the model of a folder or GGUF file without a tokenizer. Matrices are stored as `dtype`,
/// vectors (norms and biases) always as f32.
///
/// # Errors
/// Any [`ModelError`] of loading.
pub fn load_model(
    place: &Path,
    dtype: DType,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<ModelFiles, ModelError> {
    load_as(place, dtype, Changes::default(), device, progress)
}

fn dtype(settings: &Settings) -> DType {
    match settings.text(MODEL, "dtype").as_deref() {
        Some("bf16") => DType::BF16,
        Some("f16") => DType::F16,
        _ => DType::F32,
    }
}

/// The config of a folder or GGUF file, and its path.
fn config_of(place: &Path) -> Result<(Value, PathBuf), ModelError> {
    if is_gguf(place) {
        return Ok((Gguf::open(place)?.config()?, place.to_owned()));
    }
    let path = place.join("config.json");
    Ok((read_config(place, &path)?, path))
}

fn read_config(folder: &Path, path: &Path) -> Result<Value, ModelError> {
    if !path.exists() {
        let hint = if folder.join("adapter_config.json").is_file() {
            "this is an adapter: load its base model first, then %lora load DIR"
        } else {
            "a model folder contains config.json, tokenizer.json and model.safetensors"
        };
        return Err(ModelError::MissingFile {
            folder: folder.to_owned(),
            file: "config.json".to_owned(),
            hint: hint.to_owned(),
        });
    }
    side_file::json(path)
}

#[cfg(test)]
mod tests;
