//! `graft clean`: removes what installation and use have left outside the notebooks' folders.

use std::path::{Path, PathBuf};

use graft_protocol::Failure;

use crate::cli::CleanArgs;
use crate::install::InstallError;
use crate::install::spec_dir::data_home;
use crate::template::Places;

/// Removes templates and sessions, and with `--all` the stored state and the runs that lie outside notebooks' folders.
///
/// # Errors
/// The failure to print; what was removed before stays removed.
pub(crate) fn run(args: &CleanArgs) -> Result<(), Failure> {
    let places = Places::user();
    let mut folders = vec![places.templates(), places.sessions(), places.cache().to_owned()];
    if args.all {
        folders.extend(state_home().map(|home| home.join("graft")));
        folders.extend(data_home().map(|home| home.join("graft/runs")));
    }
    let mut freed = 0;
    for folder in folders {
        freed += remove(&folder)?;
    }
    println!("freed {:.0} MB", freed as f64 / 1e6);
    println!("runs beside notebooks (.graft/runs) are kept: they are yours to delete");
    Ok(())
}

/// Removes a folder and says how many bytes it held.
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

/// Bytes of all files in a folder; what cannot be read counts nothing. Links are not followed.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if is_folder(&entry) { size(&entry.path()) } else { entry.metadata().map_or(0, |data| data.len()) }).sum()
}

/// Templates are read-only, their folders too: without this their files cannot be removed.
fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(is_folder).for_each(|entry| make_writable(&entry.path()));
}

fn is_folder(entry: &std::fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn state_home() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| Some(std::env::home_dir()?.join(".local/state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_template_is_removed_and_counted() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("templates/x/deep");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("library.so"), [0; 1000]).unwrap();
        std::fs::set_permissions(&deep, std::fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(remove(&home.path().join("templates")).unwrap(), 1000);
        assert!(!home.path().join("templates").exists());
        assert_eq!(remove(&home.path().join("templates")).unwrap(), 0);
    }
}
