//! The description of a build. It is written last, so its presence means that the prebuilt library
//! was complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rust_part::{self, RustPart};
use super::{Fingerprint, Layout, PrebuiltError};

/// The inputs and the files of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInfo {
    /// The fingerprint of all inputs.
    #[serde(rename = "identity")]
    pub fingerprint: Fingerprint,
    /// A hash of the facade's sources and lock file.
    pub sources: String,
    /// The first line of `rustc -vV`.
    pub rustc: String,
    /// The size of each file in [`Layout::libraries`], by its path from there.
    #[serde(default)]
    files: BTreeMap<PathBuf, u64>,
}

impl BuildInfo {
    /// Describes the library in `layout`, whose files are complete.
    ///
    /// # Errors
    /// Returns an error if its folder cannot be read.
    pub fn new(
        fingerprint: Fingerprint,
        sources: &str,
        rustc: String,
        layout: &Layout,
    ) -> Result<Self, PrebuiltError> {
        let mut files = BTreeMap::new();
        list(&layout.libraries(), Path::new(""), &mut files)?;
        Ok(Self { fingerprint, sources: sources.to_owned(), rustc, files })
    }

    /// The version of the compiler, such as `1.95.0`; `None` for a compiler that rustup cannot
    /// install by this name, such as a nightly.
    pub fn version(&self) -> Option<&str> {
        let version = self.rustc.split_whitespace().nth(1)?;
        version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then_some(version)
    }

    /// The first file that is missing or has another size, among those that a session needs.
    pub(crate) fn damaged_file(&self, layout: &Layout) -> Option<PathBuf> {
        let libraries = layout.libraries();
        let mut files = self.files.iter().filter(|(file, _)| !rust_part::contains(file));
        let damaged = files.find(|(file, size)| !has_size(&libraries.join(file), **size));
        damaged.map(|(file, _)| libraries.join(file))
    }

    /// The state of the files that only Rust cells need.
    pub(crate) fn rust_part(&self, layout: &Layout) -> RustPart {
        let libraries = layout.libraries();
        let files = || self.files.iter().filter(|(file, _)| rust_part::contains(file));
        match files().find(|(file, size)| !has_size(&libraries.join(file), **size)) {
            None => RustPart::Complete,
            Some(_) if files().all(|(file, _)| !libraries.join(file).exists()) => RustPart::Missing,
            Some((file, _)) => RustPart::Damaged(libraries.join(file)),
        }
    }

    /// Reads the description; `None` if the file is missing or invalid.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Writes the description to a temporary file and renames it.
    pub fn write(&self, path: &Path) -> Result<(), PrebuiltError> {
        let temporary = path.with_extension("new");
        let json = serde_json::to_vec_pretty(self).map_err(|error| PrebuiltError::Manifest {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        std::fs::write(&temporary, json).map_err(PrebuiltError::file(&temporary))?;
        std::fs::rename(&temporary, path).map_err(PrebuiltError::file(path))
    }
}

/// Whether a file exists with this size.
fn has_size(file: &Path, size: u64) -> bool {
    std::fs::metadata(file).is_ok_and(|data| data.len() == size)
}

/// Adds the size of each file in `root`.
fn list(
    root: &Path,
    folder: &Path,
    files: &mut BTreeMap<PathBuf, u64>,
) -> Result<(), PrebuiltError> {
    let here = root.join(folder);
    for entry in std::fs::read_dir(&here).map_err(PrebuiltError::file(&here))?.flatten() {
        let path = folder.join(entry.file_name());
        let data = entry.metadata().map_err(PrebuiltError::file(&here))?;
        if data.is_dir() {
            list(root, &path, files)?;
        } else {
            files.insert(path, data.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_released_compiler_has_a_version() {
        let version = |rustc: &str| {
            let json = format!(r#"{{"identity": "a", "sources": "b", "rustc": "{rustc}"}}"#);
            serde_json::from_str::<BuildInfo>(&json).unwrap().version().map(str::to_owned)
        };
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)").as_deref(), Some("1.95.0"));
        assert_eq!(version("rustc 1.97.0-nightly (e50aa6fba 2026-05-19)"), None);
        assert_eq!(version(""), None);
    }
}
