//! The sources of the facade, which `build.rs` packs into this program.

use std::path::Path;

use super::PrebuiltError;

include!(concat!(env!("OUT_DIR"), "/archive.rs"));

/// Unpacks all files into `folder`. Files with the same content are not touched, so that cargo does
/// not recompile them. Files that are not in the archive are removed.
pub(crate) fn unpack(folder: &Path) -> Result<(), PrebuiltError> {
    for (name, content) in FILES {
        write_if_changed(&folder.join(name), content)?;
    }
    remove_other_files(folder, folder)
}

/// The text of a file.
pub(crate) fn text(name: &str) -> Option<String> {
    let (_, content) = FILES.iter().find(|(path, _)| *path == name)?;
    Some(String::from_utf8_lossy(content).into_owned())
}

/// The texts of all files in a folder.
pub(crate) fn texts(folder: &str) -> impl Iterator<Item = String> {
    let files = FILES.iter().filter(move |(path, _)| path.starts_with(folder));
    files.map(|(_, content)| String::from_utf8_lossy(content).into_owned())
}

/// The names of the manifests of the packed crates.
pub(crate) fn manifests() -> impl Iterator<Item = &'static str> {
    FILES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| name.starts_with("crates/") && name.ends_with("/Cargo.toml"))
}

/// Writes a file and its parent folders, unless the file has this content already.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), PrebuiltError> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(PrebuiltError::file(parent))?;
    }
    std::fs::write(path, content).map_err(PrebuiltError::file(path))
}

fn remove_other_files(root: &Path, folder: &Path) -> Result<(), PrebuiltError> {
    for entry in std::fs::read_dir(folder).map_err(PrebuiltError::file(folder))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            remove_other_files(root, &path)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            let name = name.to_string_lossy();
            if !FILES.iter().any(|(known, _)| *known == name) {
                std::fs::remove_file(&path).map_err(PrebuiltError::file(&path))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_contains_the_facade_and_the_lock_file() {
        assert!(text("Cargo.lock").unwrap().contains("name = \"candle-core\""));
        assert!(text("crates/graft/src/lib.rs").is_some());
        assert!(manifests().count() >= 7);
        assert_eq!(HASH.len(), 32);
    }

    #[test]
    fn unpacking_again_keeps_files_and_removes_others() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path()).unwrap();
        let file = folder.path().join("crates/graft/src/lib.rs");
        let first = std::fs::metadata(&file).unwrap().modified().unwrap();
        let other = folder.path().join("crates/graft/src/old.rs");
        std::fs::write(&other, "mod old;").unwrap();
        unpack(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), first);
        assert!(!other.exists());
    }
}
