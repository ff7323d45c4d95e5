//! `graft clean`: removes generated files outside the folders of notebooks.

use std::path::{Path, PathBuf};

use graft_jupyter::history_file;
use graft_spec::Failure;

use crate::cli::CleanArgs;
use crate::install::InstallError;
use crate::install::spec_dir::data_home;
use graft_engine::sweep_sessions;
use graft_prebuilt::{Dirs, Layout};

/// Removes prebuilt libraries and sessions that no running kernel uses; with `--all` also the
/// stored state, the history and the runs outside the folders of notebooks.
///
/// # Errors
/// The failure to print. Files removed before the failure stay removed.
pub(crate) fn run(args: &CleanArgs) -> Result<(), Failure> {
    let dirs = Dirs::user();
    let mut freed = clean_cache(&dirs)?;
    if args.all {
        let states = [
            state_home().map(|home| home.join("graft")),
            data_home().map(|home| home.join("graft/runs")),
        ];
        for folder in states.iter().flatten() {
            freed += remove(folder)?;
        }
        freed += remove_history()?;
    }
    println!("freed {:.0} MB", freed as f64 / 1e6);
    println!("kept the runs next to notebooks (in `.graft/runs`); delete them yourself if needed");
    Ok(())
}

/// Removes prebuilt libraries and sessions that no running process uses; returns the number of
/// bytes freed.
fn clean_cache(dirs: &Dirs) -> Result<u64, InstallError> {
    let sessions = dirs.sessions();
    let before = size(&sessions);
    sweep_sessions(&sessions);
    let running = names(&sessions);
    let mut freed = before - size(&sessions).min(before);
    for name in &running {
        println!("kept {}: its kernel is running", sessions.join(name).display());
    }
    // The lock is held during the removal, so that no build can start.
    let lock = std::fs::File::open(Layout::new(dirs.prebuilt().join("any")).lock()).ok();
    if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) {
        println!("kept {}: a build is in progress", dirs.prebuilt().display());
    } else if !running.is_empty() {
        println!("kept {}: running kernels use it", dirs.prebuilt().display());
    } else {
        freed += remove(&dirs.prebuilt())? + remove(&sessions)? + remove(dirs.cache())?;
    }
    Ok(freed)
}

/// Removes the history and its auxiliary SQLite files; returns the number of bytes freed.
fn remove_history() -> Result<u64, InstallError> {
    let Some(file) = data_home().map(|home| history_file(&home)) else { return Ok(0) };
    let mut freed = 0;
    for end in ["", "-wal", "-shm", ".damaged"] {
        let path = file.with_extension(format!("sqlite{end}"));
        let bytes = path.metadata().map_or(0, |data| data.len());
        if path.exists() {
            std::fs::remove_file(&path).map_err(InstallError::file(&path))?;
            println!("removed {}", path.display());
            freed += bytes;
        }
    }
    Ok(freed)
}

/// Names of the entries of a folder, sorted.
fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    names
}

/// Removes a folder; returns the number of bytes freed.
fn remove(folder: &Path) -> Result<u64, InstallError> {
    if !folder.exists() {
        return Ok(0);
    }
    let bytes = size(folder);
    make_writable(folder);
    std::fs::remove_dir_all(folder).map_err(InstallError::file(folder))?;
    println!("removed {}", folder.display());
    Ok(bytes)
}

/// Total size of the files in a folder. Unreadable entries count as empty, links are not followed.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if is_folder(&entry) {
                size(&entry.path())
            } else {
                entry.metadata().map_or(0, |data| data.len())
            }
        })
        .sum()
}

/// Makes a folder and its subfolders writable. Prebuilt libraries are read-only, which prevents
/// their removal.
pub(crate) fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(is_folder).for_each(|entry| make_writable(&entry.path()));
}

fn is_folder(entry: &std::fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn state_home() -> Option<PathBuf> {
    let set =
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| Some(std::env::home_dir()?.join(".local/state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_running_kernel_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(home.path().join("graft"));
        let session = dirs.sessions().join("7-running");
        std::fs::create_dir_all(session.join("cell")).unwrap();
        std::fs::create_dir_all(dirs.prebuilt().join("x")).unwrap();
        let owner = std::fs::File::create(session.join("owner")).unwrap();
        assert!(owner.try_lock().is_ok());
        clean_cache(&dirs).unwrap();
        assert!(session.exists() && dirs.prebuilt().join("x").exists());
        drop(owner);
        clean_cache(&dirs).unwrap();
        assert!(!dirs.cache().exists());
    }

    #[test]
    fn a_prebuilt_library_is_kept_while_it_is_being_built() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(home.path().join("graft"));
        std::fs::create_dir_all(dirs.prebuilt().join("x")).unwrap();
        let lock = std::fs::File::create(dirs.prebuilt().join("lock")).unwrap();
        assert!(lock.try_lock().is_ok());
        clean_cache(&dirs).unwrap();
        assert!(dirs.prebuilt().join("x").exists());
    }

    #[test]
    fn a_read_only_library_is_removed_and_counted() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("prebuilt/x/deep");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("library.so"), [0; 1000]).unwrap();
        std::fs::set_permissions(&deep, std::fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(remove(&home.path().join("prebuilt")).unwrap(), 1000);
        assert!(!home.path().join("prebuilt").exists());
        assert_eq!(remove(&home.path().join("prebuilt")).unwrap(), 0);
    }
}
