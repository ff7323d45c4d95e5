//! The program that the kernel specification names.

use std::path::{Path, PathBuf};

use super::InstallError;
use super::spec_dir::{Place, data_home};

/// The program to name: this one where it lies, or a copy of it.
///
/// A prefix gets a copy under `bin/`, so that it is whole in itself. For a user the program is copied only when it lies in
/// a cargo target folder, which comes and goes.
pub(super) fn program(place: &Place) -> Result<PathBuf, InstallError> {
    let here = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .map_err(InstallError::file(Path::new("graft")))?;
    let folder = match place.prefix()? {
        Some(prefix) => prefix.join("bin"),
        None if in_target_folder(&here) => {
            data_home().ok_or(InstallError::NoHome)?.join("graft/bin")
        }
        None => return Ok(here),
    };
    let copy = folder.join("graft");
    if copy.canonicalize().is_ok_and(|path| path == here) {
        return Ok(here);
    }
    std::fs::create_dir_all(&folder).map_err(InstallError::file(&folder))?;
    // Written beside and renamed: a kernel that runs the old copy keeps it.
    let beside = tempfile::Builder::new()
        .prefix(".graft-")
        .tempfile_in(&folder)
        .map_err(InstallError::file(&folder))?;
    std::fs::copy(&here, beside.path()).map_err(InstallError::file(&copy))?;
    beside
        .persist(&copy)
        .map_err(|error| InstallError::File { path: copy.clone(), source: error.error })?;
    Ok(copy)
}

/// Cargo marks its target folder as a cache.
fn in_target_folder(program: &Path) -> bool {
    program.ancestors().skip(1).take(4).any(|folder| folder.join("CACHEDIR.TAG").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_gets_a_program_that_runs() {
        use std::os::unix::fs::PermissionsExt;
        let prefix = tempfile::tempdir().unwrap();
        let copy = program(&Place::Prefix(prefix.path().to_owned())).unwrap();
        assert_eq!(copy, prefix.path().join("bin/graft"));
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o111, 0o111);
    }

    #[test]
    fn the_folder_of_cargo_is_recognised() {
        let target = tempfile::tempdir().unwrap();
        let program = target.path().join("debug/graft");
        assert!(!in_target_folder(&program));
        std::fs::write(target.path().join("CACHEDIR.TAG"), "").unwrap();
        assert!(in_target_folder(&program));
    }
}
