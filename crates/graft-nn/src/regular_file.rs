//! Reading of regular files only, up to a maximum size.
//!
//! Paths come from users and model folders. A named pipe would block forever and `/dev/zero` never
//! ends, so the type of the file is checked before it is read.

use std::{fs::File, io, path::Path};

use graft_spec::user_file;

/// Opens a regular file for reading.
///
/// # Errors
/// The errors of the file system, and [`io::ErrorKind::InvalidInput`] for a folder, a named pipe, a
/// socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    Ok(user_file::open(path).map(|(file, _)| file)?)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// The errors of [`open`], and [`io::ErrorKind::FileTooLarge`] for a longer file.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    Ok(user_file::read(path, limit)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_devices_folders_and_long_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, word) in [
            (pipe.as_path(), "named pipe"),
            (Path::new("/dev/zero"), "device"),
            (folder.path(), "folder"),
        ] {
            let error = read(path, 1 << 20).unwrap_err();
            assert!(
                error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains(word),
                "{error}"
            );
        }
        let (long, circle) = (folder.path().join("long"), folder.path().join("circle"));
        std::fs::write(&long, [7; 100]).unwrap();
        assert_eq!(read(&long, 100).unwrap(), [7; 100]);
        assert_eq!(read(&long, 99).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        assert!(read(&circle, 100).is_err());
    }
}
