//! Search for the files that contain an adapter's weights.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use graft_nn::atomic_folder::locate;
use serde_json::Value;

use super::{NAME, name_for};
use crate::{PeftError, adapterhub, config_file::ConfigFile, regular_file};

/// The index of weights that were split into several files.
const INDEX: &str = "adapter_model.safetensors.index.json";
/// Suffixes of Python pickles.
const PICKLES: [&str; 4] = [".bin", ".pt", ".pth", ".ckpt"];
/// Prefixes of the names of pickled weights.
const PICKLED: [&str; 3] = ["adapter_model", "pytorch_adapter", "adapter"];
/// Maximum size of an index in bytes.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// The files that were found.
pub(super) struct Found {
    /// The file, or the index of several files, for errors.
    pub(super) path: PathBuf,
    pub(super) files: Vec<PathBuf>,
    /// Keys of the index with their files.
    pub(super) expected: BTreeMap<String, PathBuf>,
}

/// Whether a file with this name contains an adapter's weights, or is their index.
pub(crate) fn is_weights(name: &str) -> bool {
    [NAME, adapterhub::WEIGHTS, INDEX].contains(&name) || part(name).is_some()
}

/// The files of the weights in a folder.
///
/// # Errors
/// [`PeftError::Pickled`], [`PeftError::MissingFile`], [`PeftError::Malformed`],
/// [`PeftError::NotAFile`].
pub(super) fn find(folder: &Path, config: &ConfigFile) -> Result<Found, PeftError> {
    for name in [name_for(config), NAME, adapterhub::WEIGHTS] {
        let path = locate(folder, name);
        if regular_file::exists(&path)? {
            return Ok(Found { files: vec![path.clone()], path, expected: BTreeMap::new() });
        }
    }
    let index = folder.join(INDEX);
    if regular_file::exists(&index)? {
        return indexed(folder, index);
    }
    let names = names(folder);
    if let Some(total) = names.iter().filter_map(|name| part(name)).map(|(_, total)| total).max() {
        return parts(folder, &names, total);
    }
    match names.iter().find(|name| is_pickle(name)) {
        Some(file) => Err(PeftError::Pickled { folder: folder.to_owned(), file: file.clone() }),
        None => {
            let hint = "its adapter_config.json is there; copy the weights as well".to_owned();
            Err(PeftError::MissingFile { folder: folder.to_owned(), file: NAME.to_owned(), hint })
        }
    }
}

/// The files that an index names.
fn indexed(folder: &Path, index: PathBuf) -> Result<Found, PeftError> {
    let malformed = |problem: String| PeftError::Malformed { path: index.clone(), problem };
    let json: Value = serde_json::from_slice(&regular_file::read(&index, MAX_INDEX_BYTES)?)
        .map_err(|error| malformed(format!("it is not valid JSON ({error})")))?;
    let map = json
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| malformed("it has no object `weight_map`".to_owned()))?;
    let mut expected = BTreeMap::new();
    for (key, file) in map {
        let name = file
            .as_str()
            .filter(|name| name.ends_with(".safetensors") && !name.contains(['/', '\\']));
        let name = name.ok_or_else(|| {
            malformed(format!(
                "`{key}` must be in a safetensors file of the same folder, not in {file}"
            ))
        })?;
        expected.insert(key.clone(), folder.join(name));
    }
    let files: Vec<PathBuf> =
        expected.values().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    for path in &files {
        if !regular_file::exists(path)? {
            return Err(missing_part(folder, path, &format!("{INDEX} names it")));
        }
    }
    Ok(Found { path: index, files, expected })
}

/// The files of weights that were split without an index.
fn parts(folder: &Path, names: &[String], total: u32) -> Result<Found, PeftError> {
    let files: Vec<PathBuf> = names
        .iter()
        .filter(|name| part(name).is_some_and(|(_, of)| of == total))
        .map(|name| folder.join(name))
        .collect();
    // The names contain the part numbers, so no part is missing if there are as many names as
    // parts.
    if files.len() as u32 != total {
        let has = |number: &u32| names.iter().any(|name| part(name) == Some((*number, total)));
        let first = (1..=total).find(|number| !has(number)).unwrap_or(1);
        return Err(missing_part(
            folder,
            &folder.join(format!("adapter_model-{first:05}-of-{total:05}.safetensors")),
            "the other parts exist",
        ));
    }
    for path in &files {
        regular_file::exists(path)?;
    }
    Ok(Found {
        path: folder.join(format!("adapter_model-*-of-{total:05}.safetensors")),
        files,
        expected: BTreeMap::new(),
    })
}

fn missing_part(folder: &Path, path: &Path, why: &str) -> PeftError {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    PeftError::MissingFile {
        folder: folder.to_owned(),
        file,
        hint: format!("{why}: copy or download it as well"),
    }
}

/// Part number and number of parts of `adapter_model-00001-of-00003.safetensors`.
fn part(name: &str) -> Option<(u32, u32)> {
    let (number, total) =
        name.strip_prefix("adapter_model-")?.strip_suffix(".safetensors")?.split_once("-of-")?;
    let read = |digits: &str| if digits.len() == 5 { digits.parse::<u32>().ok() } else { None };
    let (number, total) = (read(number)?, read(total)?);
    (1..=total).contains(&number).then_some((number, total))
}

fn is_pickle(name: &str) -> bool {
    PICKLED.iter().any(|start| name.starts_with(start))
        && PICKLES.iter().any(|ending| name.ends_with(ending))
}

/// The file names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_and_of_pickles_are_recognized() {
        assert_eq!(part("adapter_model-00002-of-00003.safetensors"), Some((2, 3)));
        for name in [
            "adapter_model-00004-of-00003.safetensors",
            "adapter_model-2-of-3.safetensors",
            "adapter_model.safetensors",
            "model-00001-of-00001.safetensors",
        ] {
            assert_eq!(part(name), None, "{name}");
        }
        assert!(
            is_pickle("adapter_model.bin")
                && is_pickle("adapter_model-00001-of-00002.bin")
                && !is_pickle("training_args.bin")
        );
    }
}
