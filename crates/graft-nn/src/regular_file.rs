//! Opening of files that somebody else named: only regular files, and never more bytes than the caller expects.
//!
//! A named pipe would block for ever and `/dev/zero` never ends, so what a path is gets checked before anything is read.

use std::{
    fs::{File, FileType, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

/// Opens a regular file for reading.
///
/// # Errors
/// Those of the file system, and [`io::ErrorKind::InvalidInput`] for a folder, a named pipe, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK, opening a named pipe waits for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {}, not a regular file", name(kind)))) }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open`], and [`io::ErrorKind::FileTooLarge`] for a longer file.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let too_large = |length: u64| io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {length} bytes; at most {limit} are read"));
    if length > limit {
        return Err(too_large(length));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

fn name(kind: FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_devices_folders_and_long_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, word) in [(pipe.as_path(), "named pipe"), (Path::new("/dev/zero"), "device"), (folder.path(), "folder")] {
            let error = read(path, 1 << 20).unwrap_err();
            assert!(error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains(word), "{error}");
        }
        let (long, circle) = (folder.path().join("long"), folder.path().join("circle"));
        std::fs::write(&long, [7; 100]).unwrap();
        assert_eq!(read(&long, 100).unwrap(), [7; 100]);
        assert_eq!(read(&long, 99).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        assert!(read(&circle, 100).is_err());
    }
}
