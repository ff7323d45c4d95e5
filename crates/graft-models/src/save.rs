//! Saving a model as a Hugging Face folder.

pub(crate) mod carried;
mod config;
mod tensors;

use std::{collections::BTreeMap, path::Path};

use graft_nn::{DType, Model, Role, Tensor, atomic_file, atomic_folder, tensor_file};
use serde_json::Value;

use crate::{Loaded, ModelError, Tokenizer};
use carried::Files;

/// The contents of a model folder.
pub struct FolderParts<'a> {
    /// The weights.
    pub model: &'a dyn Model,
    /// Type of matrices; vectors are stored in f32.
    pub dtype: DType,
    /// config.json.
    pub config: &'a Value,
    /// tokenizer.json, and generation_config.json with the tokens that end a text.
    pub tokenizer: Option<&'a Tokenizer>,
    /// Additional files by name, such as README.md.
    pub others: &'a [(&'a str, String)],
}

/// A loaded model in its current state, with merged adapters.
pub struct SavedModel<'a> {
    /// The model with its tokenizer and config.
    pub loaded: &'a Loaded,
    /// Type of matrices; vectors are stored in f32.
    pub dtype: DType,
}

/// Writes the folder of a newly created model atomically.
///
/// # Errors
/// [`ModelError::Io`] and [`ModelError::File`], for example for a full disk.
pub fn save_folder(folder: &Path, parts: &FolderParts<'_>) -> Result<(), ModelError> {
    let mut files = Files::new();
    if let Some(tokenizer) = parts.tokenizer {
        files.insert("tokenizer.json".to_owned(), tokenizer.to_json()?.into_bytes());
        carried::add(
            &mut files,
            "generation_config.json",
            &serde_json::json!({ "eos_token_id": tokenizer.ends() }),
        );
    }
    files.extend(
        parts.others.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into_bytes())),
    );
    write(folder, parts.model, (parts.config, parts.dtype), &files)
}

/// Writes a loaded model atomically to a folder that transformers loads with the same predictions,
/// tokenizer and chat template. Returns the names of the files.
///
/// # Errors
/// [`ModelError::Io`] and [`ModelError::File`], for example for a full disk;
/// [`ModelError::Malformed`] for a GGUF file that has changed since loading.
pub fn save_loaded(folder: &Path, model: &SavedModel<'_>) -> Result<Vec<String>, ModelError> {
    let files = carried::of(model.loaded)?;
    write(folder, &*model.loaded.model, (&model.loaded.config_json, model.dtype), &files)?;
    Ok(["config.json", WEIGHTS].map(str::to_owned).into_iter().chain(files.into_keys()).collect())
}

const WEIGHTS: &str = "model.safetensors";

fn write(
    folder: &Path,
    model: &dyn Model,
    (config, dtype): (&Value, DType),
    files: &Files,
) -> Result<(), ModelError> {
    let (stored, quantization) = tensors::of(model, dtype)?;
    let saved = config::Saved { dtype, quantization, has_head: has_head(model, &stored) };
    let config = config::of(model, config, saved);
    let failed =
        |path: &Path, source| ModelError::Io { action: "write", path: path.to_owned(), source };
    let fill = |part: &Path| {
        tensor_file::write(&part.join(WEIGHTS), &stored)?;
        for (name, bytes) in files {
            let path = part.join(name);
            path.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| atomic_file::write(&path, bytes))
                .map_err(|source| failed(&path, source))?;
        }
        let path = part.join("config.json");
        atomic_file::write(&path, format!("{config:#}\n").as_bytes())
            .map_err(|source| failed(&path, source))
    };
    atomic_folder::write(folder, &is_model_file, fill, |source| failed(folder, source))
}

/// Whether the head of a language model is saved with a weight of its own.
fn has_head(model: &dyn Model, stored: &BTreeMap<String, Tensor>) -> bool {
    let listed = model.sites().into_iter().filter(|site| site.role == Role::Head);
    let mut paths = listed.map(|site| site.path).chain(model.tied_head().map(|head| head.path()));
    paths.any(|path| stored.contains_key(&format!("{path}.weight")))
}

/// Whether a file of that name is part of a model, so that an old one must be removed.
fn is_model_file(name: &str) -> bool {
    let is_weights = name.starts_with("model")
        && (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"));
    is_weights
        || name == "config.json"
        || name == carried::TEMPLATES
        || carried::CARRIED.contains(&name)
}

#[cfg(test)]
mod tests;
