//! The files of the shared folder: opened without following links, locked while they are appended
//! to, and limited in size.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Largest file that is written or read.
pub(super) const MAX_FILE: u64 = 1 << 20;
/// Extension of the files.
pub(super) const EXTENSION: &str = ".jsonl";
/// The permissions to read, for the group and for others.
const READ: u32 = 0o044;

/// The name of a student's file.
pub(crate) fn file_name(name: &str) -> String {
    format!("{name}{EXTENSION}")
}

/// Appends whole lines to a student's file. A failed write, for example on a full disk, leaves the
/// file as it was.
///
/// Whoever may list the folder may read the new file: it gets the folder's permissions to read.
///
/// # Errors
/// Those of the file system, also for a folder that does not exist: it is never created, because it
/// may be a share that is not mounted now.
pub(super) fn append(folder: &Path, name: &str, lines: &str) -> io::Result<()> {
    let permissions = std::fs::metadata(folder)?.mode();
    let path = folder.join(file_name(name));
    let mut file =
        open(OpenOptions::new().append(true).read(true).create(true).mode(0o600), &path)?;
    let metadata = file.metadata()?;
    if metadata.len() == 0 {
        file.set_permissions(Permissions::from_mode(0o600 | (permissions & READ)))?;
    }
    // Two sessions of one student share the file. A file system without locks still appends.
    let _ = file.lock();
    let length = file.metadata()?.len();
    if length + lines.len() as u64 > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("`{}` has reached its limit of 1 MB", file_name(name)),
        ));
    }
    let separator = if ends_with_line(&mut file, length)? { "" } else { "\n" };
    let text = format!("{separator}{lines}");
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
    if written.is_err() {
        let _ = file.set_len(length);
    }
    written
}

/// Whether the file is empty or ends with a whole line.
fn ends_with_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Reads a student's file.
///
/// # Errors
/// Those of the file system, for a link or a special file, and for a file over the limit.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(OpenOptions::new().read(true), path)?;
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MB");
    if file.metadata()?.len() > MAX_FILE {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE { Err(too_large()) } else { Ok(bytes) }
}

/// Opens a regular file without following a symbolic link and without waiting for a named pipe.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let refused = |kind: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}"));
    let file = match options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(_) if path.is_symlink() => return Err(refused("a symbolic link")),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused("not a regular file")) }
}

/// The user that owns a student's file, if there is one.
pub(crate) fn owner_of(folder: &Path, name: &str) -> Option<u32> {
    std::fs::symlink_metadata(folder.join(file_name(name))).ok().map(|found| found.uid())
}

/// Whether a user is the one that runs this process.
pub(crate) fn is_own(owner: u32) -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == owner)
}

/// A file next to the runs, which keeps lines that could not be written.
pub(super) fn kept_file(runs: &Path, name: &str) -> PathBuf {
    runs.join(format!(".class-{name}{EXTENSION}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn whoever_may_list_the_folder_may_read_the_file() {
        for (folder_mode, file_mode) in
            [(0o1777, 0o644), (0o3773, 0o640), (0o3770, 0o640), (0o700, 0o600)]
        {
            let folder = tempfile::tempdir().unwrap();
            std::fs::set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
            append(folder.path(), "ada", "{}\n").unwrap();
            assert_eq!(mode(&folder.path().join("ada.jsonl")), file_mode, "{folder_mode:o}");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_swallow_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ada.jsonl");
        std::fs::write(&path, "{\"kind\":").unwrap();
        append(folder.path(), "ada", "{}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"kind\":\n{}\n");
    }

    #[test]
    fn links_pipes_large_files_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("eve.jsonl")).unwrap();
        let error = append(folder.path(), "eve", "{}\n").unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
        let pipe = folder.path().join("pipe.jsonl");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read(&pipe).unwrap_err().to_string().contains("not a regular file"));
        assert!(append(folder.path(), "pipe", "{}\n").is_err());
        let large = folder.path().join("large.jsonl");
        std::fs::write(&large, vec![b'x'; (MAX_FILE + 1) as usize]).unwrap();
        assert_eq!(read(&large).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(append(&folder.path().join("absent"), "ada", "{}\n").is_err());
        assert!(!folder.path().join("absent").exists());
    }
}
