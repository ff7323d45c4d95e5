//! Crates of Graft in a target folder that were compiled from the sources of another library.
//!
//! Cargo identifies a crate by its path in the workspace, so the crates of two libraries are the
//! same to it. It looks for changes where it read the sources: in the folder of the older library,
//! where nothing changes. The crates would then stay those of the older library.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes cargo compile Graft's crates again that were not compiled from the sources in `library`,
/// the folder of one library next to which the others are.
pub(super) fn forget(target: &Path, library: &Path) {
    let (Some(own), Some(all)) = (library.file_name(), library.parent()) else { return };
    let Some(all) = all.file_name() else { return };
    let fingerprints = folders(target)
        .chain(folders(target).flat_map(|folder| folders(&folder).collect::<Vec<_>>()))
        .map(|profile| profile.join(".fingerprint"));
    for unit in fingerprints.flat_map(|folder| folders(&folder).collect::<Vec<_>>()) {
        let is_ours =
            unit.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"graft"));
        if is_ours && reads_another(&unit, all, own) {
            // Without the fingerprint, cargo compiles the crate.
            let _ = fs::remove_dir_all(unit);
        }
    }
}

/// Whether a unit of cargo has read sources under `ALL/NAME/sources` with another name than `own`.
fn reads_another(unit: &Path, all: &OsStr, own: &OsStr) -> bool {
    let files = fs::read_dir(unit).into_iter().flatten().flatten();
    let dep_info = files.filter(|file| file.file_name().as_encoded_bytes().starts_with(b"dep-"));
    let start = [all.as_encoded_bytes(), b"/"].concat();
    let expected = [own.as_encoded_bytes(), b"/"].concat();
    dep_info.filter_map(|file| fs::read(file.path()).ok()).any(|content| {
        let mut found = content.windows(start.len()).enumerate();
        found.any(|(at, window)| {
            let rest = &content[at + window.len()..];
            window == start && is_a_library(rest) && !rest.starts_with(&expected)
        })
    })
}

/// Whether a path continues with the name of a library and its sources.
fn is_a_library(rest: &[u8]) -> bool {
    let name = rest.iter().take_while(|byte| **byte != b'/').count();
    rest[name..].starts_with(b"/sources/")
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_of_another_library_are_compiled_again() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        let library = root.path().join("share/templates/new");
        let unit = |profile: &str, name: &str, read: &str| {
            let unit = target.join(profile).join(".fingerprint").join(name);
            fs::create_dir_all(&unit).unwrap();
            fs::write(unit.join("dep-lib-graft_nn"), format!("\u{1}\0{read}\0")).unwrap();
            unit
        };
        let source = |name: &str| format!("/x/templates/{name}/sources/crates/graft-nn/src/lib.rs");
        let old = unit("x86_64-unknown-linux-gnu/debug", "graft-nn-1", &source("old"));
        let new = unit("x86_64-unknown-linux-gnu/debug", "graft-nn-2", &source("new"));
        let host = unit("debug", "graft-nn-3", &source("old"));
        let checkout = unit("debug", "graft-nn-4", "src/lib.rs");
        let other = unit("debug", "serde-5", "/x/templates/page.html");
        forget(&target, &library);
        assert!(!old.exists() && !host.exists());
        assert!(new.exists() && checkout.exists() && other.exists());
        forget(&root.path().join("missing"), &library);
    }
}
