//! Resolution of the source of `%model load` to a folder or GGUF file.

use std::path::{Path, PathBuf};

use graft_spec::{Settings, suggest, training::MODEL};

use super::hub;
use crate::{
    ModelError, assets,
    gguf::{self, is_gguf},
};

/// Models that many tutorials name without their owner on the Hub, by owner.
const OWNERS: &[(&[&str], &str)] = &[
    (&["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"], "openai-community"),
    (&["distilgpt2"], "distilbert"),
    (
        &["bert-base-cased", "bert-base-uncased", "bert-large-cased", "bert-large-uncased"],
        "google-bert",
    ),
    (&["Qwen2-0.5B", "Qwen2.5-0.5B", "Qwen2.5-0.5B-Instruct", "Qwen3-0.6B"], "Qwen"),
    (&["SmolLM-135M", "SmolLM2-135M", "SmolLM2-360M"], "HuggingFaceTB"),
];

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
    if is_path(source) {
        return Err(missing_path(source, folder));
    }
    if hub::is_repository(source) {
        return hub::fetch(
            source,
            &settings.text(MODEL, "revision").unwrap_or_else(|| "main".to_owned()),
            progress,
        );
    }
    let known = known_models();
    // The names that the Hub accepted before every model had an owner.
    let owner = OWNERS.iter().find(|(names, _)| names.contains(&source));
    let nearest =
        owner.map(|(_, owner)| format!("{owner}/{source}")).or_else(|| nearest(source, &known));
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

/// Whether the source can only be a path: names of the Hub have no such form.
fn is_path(source: &str) -> bool {
    let is_marked = ["/", "./", "../", "~/"].iter().any(|start| source.starts_with(start));
    is_marked || source == ".." || source.ends_with('/') || source.matches('/').count() > 1
}

/// The error of a path that does not exist, with the most similar name in its folder.
fn missing_path(source: &str, path: PathBuf) -> ModelError {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).to_owned();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = std::fs::read_dir(&parent);
    let hint = match entries {
        Err(_) => format!("the folder `{}` does not exist either", parent.display()),
        Ok(entries) => {
            let names = entries.flatten().map(|entry| entry.file_name());
            let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
            names.sort();
            match nearest(&wanted, &names) {
                Some(name) => format!("did you mean `{}`?", parent.join(name).display()),
                None => "check the path with `%pwd`; `tiny` is the built-in model".to_owned(),
            }
        }
    };
    ModelError::MissingPath { path: source.to_owned(), hint }
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

/// The most similar known name, if one is similar enough.
fn nearest(word: &str, known: &[String]) -> Option<String> {
    let names = suggest::nearest(word, known.iter().map(String::as_str));
    names.first().map(|&name| name.to_owned())
}
