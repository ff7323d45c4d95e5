//! The description of a build. It is written last, so its presence means that the prebuilt library
//! is complete.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Fingerprint, PrebuiltError};

/// The inputs of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInfo {
    /// The fingerprint of all inputs.
    #[serde(rename = "identity")]
    pub fingerprint: Fingerprint,
    /// A hash of the facade's sources and lock file.
    pub sources: String,
    /// The first line of `rustc -vV`.
    pub rustc: String,
}

impl BuildInfo {
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
