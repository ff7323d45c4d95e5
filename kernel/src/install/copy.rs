//! The binary that the kernel spec starts.

use std::path::{Path, PathBuf};

use super::InstallError;
use super::spec_dir::{Place, data_home};

/// The binary to put into the kernel spec: the running one or a copy of it.
///
/// A prefix gets a copy in `bin/`, so that it is self-contained. For a single user the binary is
/// copied only if it is in a cargo target folder, which may be deleted.
pub(super) fn program(place: &Place) -> Result<PathBuf, InstallError> {
    let current = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .map_err(InstallError::file(Path::new("graft")))?;
    let folder = match place.prefix()? {
        Some(prefix) => prefix.join("bin"),
        None if in_target_folder(&current) => {
            data_home().ok_or(InstallError::NoHome)?.join("graft/bin")
        }
        None => return Ok(current),
    };
    let copy = folder.join("graft");
    if copy.canonicalize().is_ok_and(|path| path == current) {
        return Ok(current);
    }
    std::fs::create_dir_all(&folder).map_err(InstallError::file(&folder))?;
    // Written to a temporary file and renamed, so that running kernels keep the old copy.
    let file = tempfile::Builder::new()
        .prefix(".graft-")
        .tempfile_in(&folder)
        .map_err(InstallError::file(&folder))?;
    std::fs::copy(&current, file.path()).map_err(InstallError::file(&copy))?;
    file.persist(&copy)
        .map_err(|error| InstallError::File { path: copy.clone(), source: error.error })?;
    Ok(copy)
}

/// Whether the binary is in a cargo target folder, which cargo marks as a cache.
fn in_target_folder(program: &Path) -> bool {
    program.ancestors().skip(1).take(4).any(|folder| folder.join("CACHEDIR.TAG").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_gets_an_executable_copy() {
        use std::os::unix::fs::PermissionsExt;
        let prefix = tempfile::tempdir().unwrap();
        let copy = program(&Place::Prefix(prefix.path().to_owned())).unwrap();
        assert_eq!(copy, prefix.path().join("bin/graft"));
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o111, 0o111);
    }

    #[test]
    fn a_cargo_target_folder_is_recognized() {
        let target = tempfile::tempdir().unwrap();
        let program = target.path().join("debug/graft");
        assert!(!in_target_folder(&program));
        std::fs::write(target.path().join("CACHEDIR.TAG"), "").unwrap();
        assert!(in_target_folder(&program));
    }
}
