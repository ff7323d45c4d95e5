//! Reuses compiled crates of another prebuilt library, so that a library for the whole machine does
//! not recompile the crates of the user's own library.

use std::fs::{File, FileTimes};
use std::io;
use std::path::Path;

/// Copies a target folder of cargo with its modification times, by which cargo detects changes. On
/// failure the partial copy is removed.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    copy_tree(from, to).inspect_err(|_| drop(std::fs::remove_dir_all(to)))
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &to)?;
            let modified = entry.metadata()?.modified()?;
            File::options()
                .write(true)
                .open(&to)?
                .set_times(FileTimes::new().set_modified(modified))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_files_have_the_same_modification_time() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("a/b"), root.path().join("c"));
        std::fs::create_dir_all(&from).unwrap();
        std::fs::write(from.join("x"), "x").unwrap();
        let time =
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options()
            .write(true)
            .open(from.join("x"))
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
        copy(&root.path().join("a"), &to).unwrap();
        assert_eq!(std::fs::metadata(to.join("b/x")).unwrap().modified().unwrap(), time);
        assert!(
            copy(&root.path().join("none"), &root.path().join("d")).is_err()
                && !root.path().join("d").exists()
        );
    }
}
