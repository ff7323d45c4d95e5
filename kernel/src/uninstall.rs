//! `graft uninstall`: removes the files that `graft install` wrote to Jupyter's folders and to a
//! prefix.

use std::path::Path;

use graft_spec::Failure;

use crate::clean::make_writable;
use crate::cli::UninstallArgs;
use crate::install::InstallError;
use crate::install::kernelspec::{Owner, owner, valid_name};
use crate::install::spec_dir::{self, Place, data_home};
use graft_prebuilt::Dirs;

/// Removes the kernel spec from all places into which this user may have installed it, and the
/// copies of the binary.
///
/// # Errors
/// The failure to print.
pub(crate) fn run(args: &UninstallArgs) -> Result<(), Failure> {
    let name = valid_name(&args.name)?;
    let mut removed = 0;
    for place in spec_dir::all(args.prefix.as_deref()) {
        let kernels = place.data_dir()?.join("kernels");
        let folder = kernels.join(name);
        match owner(&folder) {
            Owner::Graft => removed += usize::from(remove(&folder)?),
            Owner::Pip(version) => {
                println!(
                    "kept {}: it belongs to the wheel of Graft {version}; `pip uninstall graft-kernel` removes it",
                    folder.display()
                );
                continue;
            }
            Owner::Other(display_name) => {
                println!("kept {}: it belongs to another kernel ({display_name})", folder.display())
            }
            Owner::None => {}
        }
        if !has_other_specs(&kernels) {
            removed += usize::from(remove_program(&place)?);
        }
    }
    if removed == 0 {
        println!("found no kernel named `{name}`");
    }
    println!("run `graft clean` to remove prebuilt libraries and sessions");
    Ok(())
}

/// Whether the folder contains another kernel spec of Graft, which may use the same binary.
fn has_other_specs(kernels: &Path) -> bool {
    let is_graft = |folder: &Path| matches!(owner(folder), Owner::Graft | Owner::Pip(_));
    std::fs::read_dir(kernels)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|it| is_graft(&it.path()))))
}

/// Removes the copy of the binary that `graft install` made, and its empty folders.
fn remove_program(place: &Place) -> Result<bool, InstallError> {
    let copy = match place.prefix()? {
        Some(prefix) => prefix.join("bin/graft"),
        None => match data_home() {
            Some(home) => home.join("graft/bin/graft"),
            None => return Ok(false),
        },
    };
    let mut removed = remove(&copy)?;
    if let Some(prefix) = place.prefix()? {
        let cache = Dirs::in_prefix(&prefix).cache().to_owned();
        make_writable(&cache);
        removed |= remove(&cache)?;
    }
    if matches!(place, Place::User) {
        // Removed only if empty: the folder may also contain runs.
        let folders = [copy.parent(), copy.parent().and_then(Path::parent)];
        folders.into_iter().flatten().for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
    Ok(removed)
}

/// Removes a file or folder; `false` if it does not exist.
fn remove(path: &Path) -> Result<bool, InstallError> {
    if !path.exists() {
        return Ok(false);
    }
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
        .map_err(InstallError::file(path))?;
    println!("removed {}", path.display());
    Ok(true)
}
