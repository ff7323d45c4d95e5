//! The file that says what a template is; it is written last, so its presence says that the template is whole.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Fingerprint, PrebuiltError};

/// What a template was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInfo {
    /// Hash of everything below and more.
    #[serde(rename = "identity")]
    pub fingerprint: Fingerprint,
    /// Hash of the facade's sources and lock.
    pub sources: String,
    /// First line of `rustc -vV`.
    pub rustc: String,
}

impl BuildInfo {
    /// Reads a stamp; none when it is missing or damaged.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Writes it beside and renames it.
    pub fn write(&self, path: &Path) -> Result<(), PrebuiltError> {
        let beside = path.with_extension("new");
        let json = serde_json::to_vec_pretty(self).map_err(|error| PrebuiltError::Manifest {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        std::fs::write(&beside, json).map_err(PrebuiltError::file(&beside))?;
        std::fs::rename(&beside, path).map_err(PrebuiltError::file(path))
    }
}
