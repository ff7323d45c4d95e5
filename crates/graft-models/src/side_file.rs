//! Reading the small files of a model folder: only regular files, up to a maximum size.

use std::path::Path;

use graft_nn::regular_file;
use serde_json::Value;

use crate::ModelError;

/// Maximum size of a JSON or text file. A config has kilobytes, an index of shards at most a few
/// megabytes.
pub(crate) const LONGEST: u64 = 64 << 20;

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// [`ModelError::Io`], also for anything but a regular file.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    regular_file::read(path, limit).map_err(|source| ModelError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Reads a JSON file.
///
/// # Errors
/// [`ModelError::Io`] and [`ModelError::Malformed`].
pub(crate) fn json(path: &Path) -> Result<Value, ModelError> {
    let bytes = read(path, LONGEST)?;
    serde_json::from_slice(&bytes).map_err(|error| ModelError::Malformed {
        path: path.to_owned(),
        problem: format!("not valid JSON ({error})"),
    })
}
