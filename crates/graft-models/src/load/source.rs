//! Resolution of the source of `%model load` to a folder or GGUF file.

use std::path::{Path, PathBuf};

use graft_spec::{Settings, training::MODEL};

use super::hub;
use crate::{
    ModelError, assets,
    gguf::{self, is_gguf},
};

/// The folder or GGUF file of a source; downloads a model of the Hub if needed.
pub(super) fn find(
    source: &str,
    settings: &Settings,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<PathBuf, ModelError> {
    let folder = expanded(source);
    if source == "tiny" && !folder.join("config.json").is_file() {
        let folder = assets().join("tiny");
        return if folder.join("config.json").is_file() {
            Ok(folder)
        } else {
            Err(ModelError::NoTiny { folder })
        };
    }
    if is_gguf(&folder) && folder.exists() && !folder.is_dir() {
        return Ok(folder);
    }
    if folder.is_dir() {
        return only_gguf(folder);
    }
    if hub::is_repository(source) {
        return hub::fetch(
            source,
            &settings.text(MODEL, "revision").unwrap_or_else(|| "main".to_owned()),
            progress,
        );
    }
    let known = known_models();
    let nearest = nearest(source, &known);
    Err(ModelError::UnknownModel { name: source.to_owned(), nearest, known })
}

/// A folder, or the only GGUF file in it if it has no config.json.
fn only_gguf(folder: PathBuf) -> Result<PathBuf, ModelError> {
    if folder.join("config.json").is_file() {
        return Ok(folder);
    }
    let mut files = gguf::in_folder(&folder);
    match files.len() {
        0 => Ok(folder),
        1 => Ok(files.remove(0)),
        _ => {
            let names = files
                .iter()
                .map(|file| format!("%model load {}", file.display()))
                .collect::<Vec<_>>()
                .join(", ");
            Err(ModelError::MissingFile {
                folder,
                file: "config.json, but several GGUF files".to_owned(),
                hint: format!("load one of them: {names}"),
            })
        }
    }
}

/// Expands `~/` to the home folder.
fn expanded(source: &str) -> PathBuf {
    match (source.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(source),
    }
}

/// `tiny`, and the folders with a config.json and GGUF files in the current folder.
fn known_models() -> Vec<String> {
    let here = std::fs::read_dir(".").into_iter().flatten().flatten();
    let is_model = |path: &Path| path.join("config.json").is_file() || is_gguf(path);
    let mut folders: Vec<_> = here
        .filter(|entry| is_model(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    std::iter::once("tiny".to_owned()).chain(folders).collect()
}

/// The most similar known name, if one is similar.
fn nearest(word: &str, known: &[String]) -> Option<String> {
    let near = graft_spec::suggest::nearest(word, known.iter().map(String::as_str));
    near.first().map(|name| (*name).to_owned())
}
