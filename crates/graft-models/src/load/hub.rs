//! Download of models from the Hugging Face Hub, through the local cache. Only the files that Graft
//! reads are downloaded.

use std::{cell::RefCell, path::PathBuf};

use hf_hub::{
    Cache, Repo, RepoType,
    api::{
        Progress,
        sync::{ApiBuilder, ApiError, ApiRepo},
    },
};

use super::safetensors_folder::shards;
use crate::{ModelError, save::carried};

/// The files that are downloaded in addition to the weights, if they exist.
fn side_files() -> impl Iterator<Item = &'static str> {
    ["config.json", "README.md"].into_iter().chain(carried::CARRIED.iter().copied())
}
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Progress callback: the file, bytes done and bytes in total.
pub(super) type Report<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// Whether a name has the form `ORG/NAME`.
pub(super) fn is_repository(source: &str) -> bool {
    let plain = |part: &str| {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
    };
    source.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name))
}

/// Downloads the missing files of a model, and returns its folder in the local cache.
pub(super) fn fetch(
    name: &str,
    revision: &str,
    report: &mut Report<'_>,
) -> Result<PathBuf, ModelError> {
    if ["HF_HOME", "HOME"].iter().all(|variable| std::env::var_os(variable).is_none()) {
        return Err(error(
            name,
            "neither HF_HOME nor HOME is set, so the cache folder is unknown",
            "set HF_HOME to a folder",
        ));
    }
    let cache = Cache::from_env();
    let repository = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
    if let Some(folder) = complete(&cache, &repository) {
        return Ok(folder);
    }
    if std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(value.as_str(), "" | "0")) {
        return Err(error(
            name,
            "HF_HUB_OFFLINE is set and the model is not in the local cache",
            OFFLINE,
        ));
    }
    let api = ApiBuilder::from_env()
        .with_progress(false)
        .build()
        .map_err(|cause| explain(name, &cause))?;
    download(name, &api.repo(repository.clone()), &cache, &repository, report)
}

const OFFLINE: &str = "without a network, copy config.json, tokenizer.json and the safetensors \
                       files to a folder and load it: %model load DIR";

/// The folder of the cached snapshot, if all required files are in it.
fn complete(cache: &Cache, repository: &Repo) -> Option<PathBuf> {
    let cached = cache.repo(repository.clone());
    let folder = cached.get("config.json")?.parent()?.to_owned();
    let whole = folder.join(SINGLE).exists()
        || shards(&folder.join(INDEX))
            .is_ok_and(|names| names.iter().all(|name| folder.join(name).exists()));
    (whole && folder.join("tokenizer.json").exists()).then_some(folder)
}

fn download(
    name: &str,
    api: &ApiRepo,
    cache: &Cache,
    repository: &Repo,
    report: &mut Report<'_>,
) -> Result<PathBuf, ModelError> {
    let listed: Vec<String> = api
        .info()
        .map_err(|cause| explain(name, &cause))?
        .siblings
        .into_iter()
        .map(|file| file.rfilename)
        .collect();
    let has = |file: &str| listed.iter().any(|known| known == file);
    let report = RefCell::new(report);
    let get = |file: &str| match cache.repo(repository.clone()).get(file) {
        Some(path) => Ok(path),
        None => api
            .download_with_progress(
                file,
                Reporter { report: &report, name: String::new(), done: 0, total: 0 },
            )
            .map_err(|cause| explain(name, &cause)),
    };
    if !has(SINGLE) && !has(INDEX) {
        return Err(no_safetensors(name, &listed));
    }
    for file in side_files().filter(|file| has(file)) {
        get(file)?;
    }
    let weights = if has(SINGLE) { vec![SINGLE.to_owned()] } else { shards(&get(INDEX)?)? };
    for file in &weights {
        get(file)?;
    }
    let folder = get("config.json")?.parent().map(PathBuf::from);
    folder.ok_or_else(|| error(name, "its files have no folder", OFFLINE))
}

fn no_safetensors(name: &str, listed: &[String]) -> ModelError {
    let problem = match listed.iter().find(|file| file.ends_with(".bin")) {
        Some(file) => format!(
            "it has only `{file}`, a Python pickle, which can execute arbitrary code when loaded"
        ),
        None => "it has no safetensors weights".to_owned(),
    };
    error(name, &problem, "choose a repository with model.safetensors")
}

/// Converts an error of the Hub client. The client reports the HTTP status only in the message.
fn explain(name: &str, cause: &ApiError) -> ModelError {
    let text = cause.to_string();
    if text.contains("401") || text.contains("403") {
        let hint = "check the name; a private or gated model needs a token: accept its terms on \
                    the Hub, then run `huggingface-cli login`";
        error(name, "the Hub denied access", hint)
    } else if text.contains("404") {
        error(
            name,
            "the Hub has no such model or revision",
            "look for the exact name on https://huggingface.co/models",
        )
    } else {
        error(name, &format!("cannot reach the Hub ({text})"), OFFLINE)
    }
}

fn error(name: &str, problem: &str, hint: &str) -> ModelError {
    ModelError::Hub { name: name.to_owned(), problem: problem.to_owned(), hint: hint.to_owned() }
}

/// Forwards the progress of the client.
struct Reporter<'a, 'b> {
    report: &'a RefCell<&'a mut Report<'b>>,
    name: String,
    done: u64,
    total: u64,
}

impl Progress for Reporter<'_, '_> {
    fn init(&mut self, size: usize, filename: &str) {
        (self.name, self.total) = (filename.to_owned(), size as u64);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (*self.report.borrow_mut())(&self.name, self.done, self.total);
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests;
