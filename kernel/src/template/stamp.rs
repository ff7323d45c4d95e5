//! The file that says what a template is; it is written last, so its presence says that the template is whole.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Identity, TemplateError};

/// What a template was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Hash of everything below and more.
    pub(crate) identity: Identity,
    /// Hash of the facade's sources and lock.
    pub(crate) sources: String,
    /// First line of `rustc -vV`.
    pub(crate) rustc: String,
}

impl Stamp {
    /// Reads a stamp; none when it is missing or damaged.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Writes it beside and renames it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), TemplateError> {
        let beside = path.with_extension("new");
        let json = serde_json::to_vec_pretty(self).map_err(|error| TemplateError::Manifest {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        std::fs::write(&beside, json).map_err(TemplateError::file(&beside))?;
        std::fs::rename(&beside, path).map_err(TemplateError::file(path))
    }
}
