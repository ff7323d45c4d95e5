//! The files of a data set: a file, or the files of a folder with the split that their names tell.

use std::path::{Path, PathBuf};

use super::DataError;
use super::dataset::SplitName;
use super::options::{HeldOut, ReadOptions};

/// Most files of a folder.
const MOST_FILES: usize = 10_000;
/// Deepest folder within a folder.
const DEEPEST: usize = 8;

/// Extensions of data files, without that of gzip.
const EXTENSIONS: &[&str] =
    &["jsonl", "ndjson", "json", "csv", "tsv", "tab", "txt", "md", "parquet"];
/// Files that describe a data set.
const DESCRIPTIONS: &[&str] =
    &["readme", "license", "licence", "dataset_infos", "dataset_info", "state", "changelog"];

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The file.
    pub path: PathBuf,
    /// The split of all its examples, if it has one.
    pub split: Option<SplitName>,
}

/// The files of a data set: those of its source, and those of `validation=` and `test=`.
///
/// # Errors
/// [`DataError::Io`], [`DataError::EmptyFolder`], [`DataError::TooManyFiles`].
pub(crate) fn files(source: &Path, options: &ReadOptions) -> Result<Vec<SourceFile>, DataError> {
    with_held_out(of_path(source)?, options)
}

/// Adds the files of `validation=` and `test=` to others, which become training files.
///
/// # Errors
/// As [`files`].
pub(crate) fn with_held_out(
    mut files: Vec<SourceFile>,
    options: &ReadOptions,
) -> Result<Vec<SourceFile>, DataError> {
    let held_out = held_out_files(options)?;
    if !held_out.is_empty() {
        files.iter_mut().for_each(|file| file.split = Some(file.split.unwrap_or(SplitName::Train)));
    }
    files.extend(held_out);
    Ok(files)
}

/// The files of `validation=` and `test=`.
///
/// # Errors
/// As [`files`].
pub(crate) fn held_out_files(options: &ReadOptions) -> Result<Vec<SourceFile>, DataError> {
    let parts = [(&options.validation, SplitName::Validation), (&options.test, SplitName::Test)];
    let mut files = Vec::new();
    for (part, split) in parts {
        if let HeldOut::File(path) = part {
            let own = of_path(path)?;
            files.extend(own.into_iter().map(|file| SourceFile { split: Some(split), ..file }));
        }
    }
    Ok(files)
}

/// A file, or the data files of a folder.
fn of_path(path: &Path) -> Result<Vec<SourceFile>, DataError> {
    if !path.is_dir() {
        return Ok(vec![SourceFile { path: path.to_owned(), split: None }]);
    }
    let mut found = Vec::new();
    walk(path, 0, &mut found)?;
    found.sort();
    let all: Vec<SourceFile> = found
        .into_iter()
        .map(|file| {
            let split = file.strip_prefix(path).ok().and_then(split_of);
            SourceFile { path: file, split }
        })
        .collect();
    if all.is_empty() {
        return Err(DataError::EmptyFolder { path: path.to_owned() });
    }
    Ok(with_splits(all))
}

/// Of files of which some have a split, those: others are further data, such as the part
/// `unsupervised` of some data sets.
pub fn with_splits(files: Vec<SourceFile>) -> Vec<SourceFile> {
    if files.iter().all(|file| file.split.is_none()) {
        return files;
    }
    files.into_iter().filter(|file| file.split.is_some()).collect()
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let io = |source| DataError::Io { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, found)?;
            }
        } else if is_data(&name) {
            found.push(path);
        }
        if found.len() > MOST_FILES {
            return Err(DataError::TooManyFiles { path: folder.to_owned(), most: MOST_FILES });
        }
    }
    Ok(())
}

/// Whether a file of this name has examples.
pub fn is_data(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    let Some((stem, extension)) = plain.rsplit_once('.') else { return false };
    EXTENSIONS.contains(&extension) && !DESCRIPTIONS.contains(&stem)
}

/// The split that a path tells, such as `data/train-00000-of-00002.parquet` or `test/a.txt`.
pub fn split_of(path: &Path) -> Option<SplitName> {
    let parts: Vec<String> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy().to_ascii_lowercase())
        .collect();
    parts.iter().rev().find_map(|part| {
        part.split(|letter: char| !letter.is_ascii_alphabetic()).find_map(SplitName::parse)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_told_by_a_word_of_the_path() {
        let split = |path: &str| split_of(Path::new(path)).map(SplitName::name);
        assert_eq!(split("data/train-00000-of-00002.parquet"), Some("train"));
        assert_eq!(split("dev.jsonl"), Some("validation"));
        assert_eq!(split("test/pos/a.txt"), Some("test"));
        assert_eq!(split("my_valid_set.csv"), Some("validation"));
        assert_eq!(split("latest.csv"), None);
        assert_eq!(split("strain.csv"), None);
    }

    #[test]
    fn descriptions_are_not_data() {
        assert!(is_data("a.JSONL") && is_data("b.csv.gz") && is_data("0000.parquet"));
        assert!(!is_data("README.md") && !is_data("LICENSE.txt") && !is_data("dataset_infos.json"));
        assert!(!is_data("model.safetensors") && !is_data("script.py"));
    }
}
