//! The location of runs: next to the notebook, else in the home folder, else in a temporary folder
//! in memory.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use graft_nn::regular_file;

/// Start of the names of temporary folders.
const PREFIX: &str = "graft-runs-";
/// A file in a temporary folder that its process keeps locked while it is alive.
const ALIVE: &str = ".alive";

/// The temporary folder of this process, once it has been requested.
static IN_MEMORY: OnceLock<PathBuf> = OnceLock::new();

/// The folder of runs. Nothing is created.
///
/// The first of these that can be used: `$GRAFT_RUNS`, `.graft/runs` in `notebook_folder`,
/// `$XDG_DATA_HOME/graft/runs`, a temporary folder in memory.
pub fn runs_folder(notebook_folder: &Path) -> PathBuf {
    if let Some(folder) = std::env::var_os("GRAFT_RUNS").filter(|folder| !folder.is_empty()) {
        return PathBuf::from(folder);
    }
    let home = || {
        std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".local/share")
    };
    let data = std::env::var_os("XDG_DATA_HOME")
        .filter(|folder| !folder.is_empty())
        .map_or_else(home, PathBuf::from);
    writable(notebook_folder.join(".graft/runs"))
        .or_else(|| writable(data.join("graft/runs")))
        .unwrap_or_else(in_memory)
}

/// Whether a folder of runs is the temporary one, which is deleted after this process ends.
pub fn is_temporary(base: &Path) -> bool {
    IN_MEMORY.get().is_some_and(|folder| base == folder)
}

/// Creates the folder of runs if it is missing.
pub(super) fn make(base: &Path) -> std::io::Result<()> {
    if is_temporary(base)
        && let Some(private) = base.parent().filter(|private| !private.exists())
    {
        sweep(private.parent().unwrap_or(private));
        // Other users must not be able to read or prepare the folder: an existing one is refused.
        fs::DirBuilder::new().mode(0o700).create(private)?;
        let alive = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(private.join(ALIVE))?;
        if alive.try_lock().is_ok() {
            // Locked until the process ends and the system closes the file.
            std::mem::forget(alive);
        }
    }
    fs::create_dir_all(base)
}

/// The folder, if it can be written or created. Nothing is created: an unnamed file in the nearest
/// existing folder is the test.
fn writable(folder: PathBuf) -> Option<PathBuf> {
    let nearest = folder.ancestors().find(|folder| folder.is_dir())?;
    tempfile::tempfile_in(nearest).ok()?;
    Some(folder)
}

fn in_memory() -> PathBuf {
    let name = || {
        format!(
            "{PREFIX}{}-{:08x}",
            std::process::id(),
            std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos())
        )
    };
    let place = || writable(PathBuf::from("/dev/shm")).unwrap_or_else(std::env::temp_dir);
    // A subfolder, because the list of finished trials is written next to the folder of runs.
    IN_MEMORY.get_or_init(|| place().join(name()).join("runs")).clone()
}

/// Removes the temporary folders of processes that have ended. Folders of other users cannot be
/// removed, and links are not followed.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_dead = || {
            regular_file::open(&entry.path().join(ALIVE))
                .is_ok_and(|alive| alive.try_lock().is_ok())
        };
        if is_ours && is_dead() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_the_location_of_runs_creates_no_folder() {
        let folder = tempfile::tempdir().expect("folder");
        let runs = folder.path().join(".graft/runs");
        assert_eq!(writable(runs.clone()), Some(runs));
        assert!(!folder.path().join(".graft").exists());
        assert_eq!(
            writable(PathBuf::from("/proc/self/.graft/runs")),
            None,
            "a folder that is not writable"
        );
    }

    #[test]
    fn a_folder_in_memory_is_private_and_is_removed_after_its_process_ends() {
        let base = in_memory();
        assert!(
            is_temporary(&base)
                && !is_temporary(Path::new("/tmp/graft/runs"))
                && base == in_memory()
        );
        make(&base).expect("makes");
        let private = base.parent().expect("a private folder");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(private).expect("exists").permissions(),
        );
        assert_eq!(mode & 0o777, 0o700);
        sweep(private.parent().expect("a place"));
        assert!(base.is_dir(), "this process lives");
        let place = tempfile::tempdir().expect("folder");
        let left = place.path().join(format!("{PREFIX}1-2"));
        fs::create_dir_all(left.join("runs")).expect("makes");
        fs::write(left.join(ALIVE), "").expect("writes");
        fs::create_dir_all(place.path().join("other")).expect("makes");
        sweep(place.path());
        assert!(!left.exists() && place.path().join("other").exists());
        fs::remove_dir_all(private).expect("removes");
    }
}
