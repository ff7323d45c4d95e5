//! Reading files that a user names: only regular files, and only up to a given size.
//!
//! A path may be a FIFO without a writer, `/dev/zero`, a folder or a loop of symbolic links. All of
//! them are refused before anything is read or allocated.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::Hint;

/// Maximum size in bytes of a text that becomes a cell or is shown in full: a script, a notebook,
/// the README of a model.
pub const MOST_TEXT: u64 = 64 << 20;

/// The error of a file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserFileError {
    /// The operating system returned an error.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The path is not a regular file.
    #[error("cannot read `{}`: it is {kind}, not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// The kind of file, with its article.
        kind: &'static str,
    },
    /// The file is too large.
    #[error("cannot read `{}`: it has {bytes} bytes, and at most {most} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// The file is not UTF-8.
    #[error("`{}` is not valid UTF-8 (line {line})", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first invalid byte, starting at 1.
        line: usize,
    },
}

/// For callers that report I/O errors.
impl From<UserFileError> for io::Error {
    fn from(error: UserFileError) -> Self {
        match error {
            UserFileError::Io { source, .. } => source,
            UserFileError::NotRegular { kind, .. } => {
                Self::new(io::ErrorKind::InvalidInput, format!("it is {kind}, not a regular file"))
            }
            UserFileError::TooLarge { bytes, most, .. } => Self::new(
                io::ErrorKind::FileTooLarge,
                format!("it has {bytes} bytes; at most {most} are read"),
            ),
            other @ UserFileError::NotUtf8 { .. } => {
                Self::new(io::ErrorKind::InvalidData, other.to_string())
            }
        }
    }
}

impl Hint for UserFileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file::unreadable",
            Self::NotRegular { .. } => "file::not_regular",
            Self::TooLarge { .. } => "file::too_large",
            Self::NotUtf8 { .. } => "file::not_utf8",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::NotRegular { kind, .. } if kind.contains("folder") => {
                Some("name a file inside it".to_owned())
            }
            Self::NotRegular { .. } => {
                Some("write its contents to a file first, and name that file".to_owned())
            }
            Self::TooLarge { .. } => Some("check that this is the intended file".to_owned()),
            Self::NotUtf8 { .. } => Some("save it as UTF-8".to_owned()),
        }
    }
}

/// Opens a regular file and returns it with its size in bytes.
///
/// # Errors
/// [`UserFileError::Io`], [`UserFileError::NotRegular`].
pub fn open(path: &Path) -> Result<(File, u64), UserFileError> {
    let io = |source| UserFileError::Io { path: path.to_owned(), source };
    // Checked before opening, because opening a FIFO blocks until it has a writer; and again after
    // opening, because the path may have been replaced in between.
    regular(path, &std::fs::metadata(path).map_err(io)?)?;
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    regular(path, &metadata)?;
    Ok((file, metadata.len()))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// Those of [`open`], and [`UserFileError::TooLarge`] before anything is allocated.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, UserFileError> {
    let (file, bytes) = open(path)?;
    if bytes > most {
        return Err(UserFileError::TooLarge { path: path.to_owned(), bytes, most });
    }
    read_stream(file, path, most)
}

/// Reads a regular text file of at most `most` bytes, without its byte order mark.
///
/// # Errors
/// Those of [`read`] and [`UserFileError::NotUtf8`].
pub fn read_text(path: &Path, most: u64) -> Result<String, UserFileError> {
    text(path, read(path, most)?)
}

/// Reads a stream to its end: standard input, or a pipe that a shell has opened. `path` is its name
/// in errors.
///
/// # Errors
/// As [`read_text`], after at most `most` bytes.
pub fn read_text_stream(
    stream: impl Read,
    path: &Path,
    most: u64,
) -> Result<String, UserFileError> {
    text(path, read_stream(stream, path, most)?)
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), UserFileError> {
    if metadata.is_file() {
        Ok(())
    } else {
        Err(UserFileError::NotRegular { path: path.to_owned(), kind: kind(metadata) })
    }
}

/// Reads one byte more than allowed: the size that the file system reports may be wrong (0 in
/// `/proc`), and a file may grow while it is read.
fn read_stream(stream: impl Read, path: &Path, most: u64) -> Result<Vec<u8>, UserFileError> {
    let mut bytes = Vec::new();
    stream
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| UserFileError::Io { path: path.to_owned(), source })?;
    if bytes.len() as u64 > most {
        return Err(UserFileError::TooLarge {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            most,
        });
    }
    Ok(bytes)
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, UserFileError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        UserFileError::NotUtf8 {
            path: path.to_owned(),
            line: valid.iter().filter(|byte| **byte == b'\n').count() + 1,
        }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn kind(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a named pipe (FIFO)";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if metadata.is_dir() { "a folder" } else { "a special file" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(path: &str) -> String {
        read_text(Path::new(path), 1000).expect_err(path).to_string()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_regular_files_are_read() {
        assert_eq!(
            problem("/dev/zero"),
            "cannot read `/dev/zero`: it is a device, not a regular file"
        );
        assert_eq!(problem("/tmp"), "cannot read `/tmp`: it is a folder, not a regular file");
        assert_eq!(problem("/nowhere/x"), "cannot read `/nowhere/x`");
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let text = read_text(&here, 100_000).expect("this crate's manifest");
        assert!(text.starts_with("[package]"));
        let error = read(&here, text.len() as u64 - 1).expect_err("too large");
        assert_eq!(error.code(), "file::too_large");
    }

    #[test]
    fn an_endless_stream_ends_at_the_limit() {
        let error = read_text_stream(io::repeat(b'a'), Path::new("-"), 1000).expect_err("endless");
        assert_eq!(
            error.to_string(),
            "cannot read `-`: it has 1001 bytes, and at most 1000 are read"
        );
        let error =
            read_text_stream(&b"one\ntwo \xff"[..], Path::new("-"), 1000).expect_err("not UTF-8");
        assert_eq!(error.to_string(), "`-` is not valid UTF-8 (line 2)");
        assert_eq!(
            read_text_stream("\u{feff}a".as_bytes(), Path::new("-"), 1000).expect("reads"),
            "a"
        );
    }
}
