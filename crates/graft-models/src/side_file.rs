//! Reading of the small files of a model's folder: regular files up to a length, never a pipe or a device.

use std::path::Path;

use graft_nn::regular_file;
use serde_json::Value;

use crate::ModelError;

/// Longest file of JSON or text beside the weights. A config has kilobytes, an index of shards at most a few megabytes.
pub(crate) const LONGEST: u64 = 64 << 20;

/// The bytes of a file of at most `limit` bytes.
///
/// # Errors
/// [`ModelError::Io`], for what is no regular file too.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    regular_file::read(path, limit).map_err(|source| ModelError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// A JSON file.
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
