//! Data sets of the Hugging Face Hub, through the local cache: the files with examples of one
//! subset are downloaded and read.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use graft_data::{Dataset, Limits, SourceFile, is_data, load_files, split_of, with_splits};
use graft_protocol::Event;
use graft_spec::{Failure, Settings, training::DATA};
use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use crate::{CommandContext, SessionError};

/// The branch with the Parquet files that the Hub makes of other data sets.
const CONVERTED: &str = "refs/convert/parquet";
/// Most files that are listed of the cache.
const MOST_FILES: usize = 100_000;

/// Whether a source has the form `ORG/NAME` and is not the name of a data file.
pub(super) fn is_repository(source: &str) -> bool {
    let plain = |part: &str| {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
    };
    !is_data(source)
        && source.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name))
}

/// Downloads the missing files of a data set and reads it.
///
/// # Errors
/// [`SessionError::HubData`], and those of the reader.
pub(super) fn load(
    cx: &CommandContext,
    name: &str,
    settings: &Settings,
    limits: Limits<'_>,
) -> Result<Dataset, Failure> {
    let subset = settings.text(DATA, "subset").filter(|subset| !subset.is_empty());
    let revision = settings.text(DATA, "revision").unwrap_or_else(|| "main".to_owned());
    let dataset = HubDataset { cx, name, cache: Cache::from_env() };
    let files = dataset.files(&revision, subset.as_deref())?;
    let files = files
        .into_iter()
        .map(|(file, path)| SourceFile { split: split_of(Path::new(&file)), path });
    let short = name.rsplit('/').next().unwrap_or(name);
    Ok(load_files(short, name, with_splits(files.collect()), settings, limits)?)
}

struct HubDataset<'a> {
    cx: &'a CommandContext,
    name: &'a str,
    cache: Cache,
}

impl HubDataset<'_> {
    /// The chosen files of a revision, with their names in the repository; from the cache where
    /// there is no network.
    fn files(
        &self,
        revision: &str,
        subset: Option<&str>,
    ) -> Result<Vec<(String, PathBuf)>, SessionError> {
        if ["HF_HOME", "HOME"].iter().all(|variable| std::env::var_os(variable).is_none()) {
            let problem = "neither HF_HOME nor HOME is set, so the cache folder is unknown";
            return Err(self.error(problem, "set HF_HOME to a folder"));
        }
        let is_offline =
            std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
        if is_offline {
            return self.cached(revision, subset)?.ok_or_else(|| {
                self.error(
                    "HF_HUB_OFFLINE is set and the data set is not in the local cache",
                    OFFLINE,
                )
            });
        }
        match self.online(revision, subset) {
            Err(Fetch::Api(cause)) if is_unreachable(&cause) => {
                let cached = self.cached(revision, subset)?;
                if cached.is_some() {
                    self.cx.warn(format!(
                        "cannot reach the Hugging Face Hub; `{}` is read from the local cache",
                        self.name
                    ));
                }
                cached.ok_or_else(|| self.explain(&cause))
            }
            Err(Fetch::Api(cause)) => Err(self.explain(&cause)),
            Err(Fetch::Session(error)) => Err(error),
            Ok(files) => Ok(files),
        }
    }

    fn online(
        &self,
        revision: &str,
        subset: Option<&str>,
    ) -> Result<Vec<(String, PathBuf)>, Fetch> {
        let api = ApiBuilder::from_env().with_progress(false).build()?;
        let list = |revision: &str| -> Result<Vec<String>, Fetch> {
            let info = api.repo(self.repository(revision)).info()?;
            Ok(info.siblings.into_iter().map(|file| file.rfilename).collect())
        };
        let mut revision = revision;
        let mut listed = list(revision)?;
        if revision == "main" && !listed.iter().any(|file| is_example_file(file)) {
            // A data set that only a Python script can read.
            (revision, listed) = match list(CONVERTED) {
                Ok(converted) => (CONVERTED, converted),
                Err(_) => (revision, listed),
            };
        }
        let chosen = choose(&listed, subset).map_err(|problem| self.choice(problem))?;
        let repository = api.repo(self.repository(revision));
        let cached = self.cache.repo(self.repository(revision));
        let mut files = Vec::new();
        for file in chosen {
            self.cx.check_interrupted(&format!("stopped while downloading `{}`", self.name))?;
            let path = match cached.get(&file) {
                Some(path) => path,
                None => repository.download_with_progress(&file, Reporter::new(self.cx))?,
            };
            files.push((file, path));
        }
        Ok(files)
    }

    /// The chosen files of the cached snapshot; `None` without a snapshot.
    fn cached(
        &self,
        revision: &str,
        subset: Option<&str>,
    ) -> Result<Option<Vec<(String, PathBuf)>>, SessionError> {
        let found = [revision, CONVERTED].into_iter().find_map(|revision| {
            let folder = self.snapshot(revision)?;
            let mut listed = Vec::new();
            walk(&folder, Path::new(""), &mut listed);
            listed.sort();
            listed.iter().any(|file| is_example_file(file)).then_some((folder, listed))
        });
        let Some((folder, listed)) = found else { return Ok(None) };
        let chosen = choose(&listed, subset).map_err(|problem| self.choice(problem))?;
        Ok(Some(chosen.into_iter().map(|file| (file.clone(), folder.join(file))).collect()))
    }

    /// The folder of a cached revision.
    fn snapshot(&self, revision: &str) -> Option<PathBuf> {
        let folder = self.cache.path().join(self.repository(revision).folder_name());
        let named = std::fs::read_to_string(folder.join("refs").join(revision)).ok();
        let commit = named.as_deref().map_or(revision, str::trim);
        let is_plain =
            Path::new(commit).components().all(|part| matches!(part, Component::Normal(_)));
        let snapshot = folder.join("snapshots").join(commit);
        (is_plain && snapshot.is_dir()).then_some(snapshot)
    }

    fn repository(&self, revision: &str) -> Repo {
        Repo::with_revision(self.name.to_owned(), RepoType::Dataset, revision.to_owned())
    }

    /// The error for a repository without a choice of files.
    fn choice(&self, problem: Choice) -> SessionError {
        match problem {
            Choice::NoFiles => self.error(
                "it has no parquet, jsonl, json, csv, tsv or txt files",
                "download it with the Python package datasets, save it with to_json, then %data load FILE",
            ),
            Choice::Subset { given, known } => {
                let problem = match &given {
                    Some(given) => format!("it has no subset `{given}`"),
                    None => "it has several subsets".to_owned(),
                };
                let nearest = given.as_deref().and_then(|given| {
                    graft_spec::suggest::nearest(given, known.iter().map(String::as_str))
                        .first()
                        .map(|name| (*name).to_owned())
                });
                let example = nearest.unwrap_or_else(|| known.first().cloned().unwrap_or_default());
                let hint = format!(
                    "%data load {} subset={example}; subsets: {}",
                    self.name,
                    known.join(", ")
                );
                self.error(&problem, &hint)
            }
        }
    }

    /// Converts an error of the Hub client, which reports the HTTP status only in the message.
    fn explain(&self, cause: &ApiError) -> SessionError {
        let text = cause.to_string();
        if text.contains("401") || text.contains("403") {
            let hint = "check the name; a private or gated data set needs a token: accept its terms on the Hub, then run `huggingface-cli login`";
            self.error("the Hub denied access", hint)
        } else if text.contains("404") {
            let hint = "look for the exact name on https://huggingface.co/datasets; a file is loaded by its path, such as ./DIR";
            self.error("the Hub has no such data set or revision", hint)
        } else {
            self.error(&format!("cannot reach the Hub ({text})"), OFFLINE)
        }
    }

    fn error(&self, problem: &str, hint: &str) -> SessionError {
        SessionError::HubData {
            name: self.name.to_owned(),
            problem: problem.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

const OFFLINE: &str =
    "without a network, copy the parquet or jsonl files to a folder and load it: %data load DIR";

/// An error of downloading.
enum Fetch {
    Api(ApiError),
    Session(SessionError),
}

impl From<ApiError> for Fetch {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<SessionError> for Fetch {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

fn is_unreachable(cause: &ApiError) -> bool {
    let text = cause.to_string();
    !["401", "403", "404"].iter().any(|status| text.contains(status))
}

/// Why no files can be chosen.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    NoFiles,
    Subset { given: Option<String>, known: Vec<String> },
}

/// Whether a file of a repository has examples. A name must not lead out of the folder.
fn is_example_file(file: &str) -> bool {
    let path = Path::new(file);
    let is_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    let is_hidden =
        path.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    is_inside && !is_hidden && is_data(&name)
}

/// The files to read: Parquet files if there are any, and those of one subset.
fn choose(listed: &[String], subset: Option<&str>) -> Result<Vec<String>, Choice> {
    let all: Vec<&String> = listed.iter().filter(|file| is_example_file(file)).collect();
    let parquet: Vec<&String> =
        all.iter().copied().filter(|file| file.ends_with(".parquet")).collect();
    let files = if parquet.is_empty() { all } else { parquet };
    if files.is_empty() {
        return Err(Choice::NoFiles);
    }
    let subsets: BTreeSet<&str> = files.iter().filter_map(|file| subset_of(file)).collect();
    let known = || subsets.iter().map(|subset| (*subset).to_owned()).collect::<Vec<_>>();
    let wanted = match subset {
        Some(given) if subsets.contains(given) => Some(given),
        Some(given) => {
            return Err(Choice::Subset { given: Some(given.to_owned()), known: known() });
        }
        None if files.iter().any(|file| subset_of(file).is_none()) => None,
        None if subsets.len() == 1 => subsets.first().copied(),
        None if subsets.contains("default") => Some("default"),
        None => return Err(Choice::Subset { given: None, known: known() }),
    };
    let chosen = files.into_iter().filter(|file| subset_of(file) == wanted);
    Ok(chosen.cloned().collect())
}

/// The subset of a file: its folder, unless that is `data` or the name of a split.
fn subset_of(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("data/").unwrap_or(file);
    let (folder, _) = inside.split_once('/')?;
    split_of(Path::new(folder)).is_none().then_some(folder)
}

/// Lists the files of a snapshot, which are links to the blobs of the cache.
fn walk(folder: &Path, inside: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder.join(inside)) else { return };
    for entry in entries.flatten() {
        let path = inside.join(entry.file_name());
        if folder.join(&path).is_dir() {
            walk(folder, &path, found);
        } else if found.len() < MOST_FILES {
            found.push(path.to_string_lossy().into_owned());
        }
    }
}

/// Forwards the progress of the client.
struct Reporter<'a> {
    cx: &'a CommandContext,
    file: String,
    done: u64,
    total: u64,
}

impl<'a> Reporter<'a> {
    fn new(cx: &'a CommandContext) -> Self {
        Self { cx, file: String::new(), done: 0, total: 0 }
    }
}

impl Progress for Reporter<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        (self.file, self.total) = (filename.to_owned(), size as u64);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.cx.emit(Event::Progress {
            label: self.file.clone(),
            done: self.done,
            total: self.total,
        });
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(listed: &[&str], subset: Option<&str>) -> Result<Vec<String>, Choice> {
        choose(&listed.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>(), subset)
    }

    #[test]
    fn the_files_of_a_subset_are_chosen_and_parquet_is_preferred() {
        let plain =
            ["README.md", "data/train-00000-of-00001.parquet", "data/test-0.parquet", "x.csv"];
        assert_eq!(chosen(&plain, None), Ok(vec![plain[1].to_owned(), plain[2].to_owned()]));
        let glue = ["cola/train-0.parquet", "sst2/train-0.parquet", "sst2/validation-0.parquet"];
        assert_eq!(chosen(&glue, Some("sst2")), Ok(vec![glue[1].to_owned(), glue[2].to_owned()]));
        let known = vec!["cola".to_owned(), "sst2".to_owned()];
        assert_eq!(chosen(&glue, None), Err(Choice::Subset { given: None, known }));
        let splits = ["train/a.jsonl", "test/b.jsonl"];
        assert_eq!(chosen(&splits, None).map(|files| files.len()), Ok(2));
        assert_eq!(chosen(&["default/train/0000.parquet"], None).map(|files| files.len()), Ok(1));
        assert_eq!(chosen(&["script.py", "README.md"], None), Err(Choice::NoFiles));
        assert_eq!(
            chosen(&["../../train.csv", "/etc/a.csv", ".x/a.csv"], None),
            Err(Choice::NoFiles)
        );
    }

    #[test]
    fn a_repository_name_is_not_a_file_name() {
        assert!(is_repository("stanfordnlp/imdb") && is_repository("o/data.v2"));
        for file in ["data/a.csv", "data/a.jsonl.gz", "a", "a/b/c", "../b", "./b", "/b"] {
            assert!(!is_repository(file), "{file}");
        }
    }
}
