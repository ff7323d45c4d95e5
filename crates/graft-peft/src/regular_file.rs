//! The files of an adapter: only regular ones are read, and only up to a limit.

use std::{fs, io::ErrorKind, path::Path};

use graft_spec::user_file::{self, UserFileError};

use crate::PeftError;

/// Whether there is a regular file at `path`.
///
/// # Errors
/// [`PeftError::NotAFile`] for a folder, a pipe or a device; [`PeftError::Io`].
pub(crate) fn exists(path: &Path) -> Result<bool, PeftError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(PeftError::NotAFile { path: path.to_owned() }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(source) => Err(PeftError::Io { action: "read", path: path.to_owned(), source }),
    }
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// [`PeftError::Malformed`] for a larger file, [`PeftError::NotAFile`] and [`PeftError::Io`].
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, PeftError> {
    user_file::read(path, most).map_err(|error| match error {
        UserFileError::TooLarge { path, .. } => {
            let problem = format!("it is larger than {} MB, the limit for this file", most >> 20);
            PeftError::Malformed { path, problem }
        }
        UserFileError::NotRegular { path, .. } => PeftError::NotAFile { path },
        error => PeftError::Io { action: "read", path: path.to_owned(), source: error.into() },
    })
}
