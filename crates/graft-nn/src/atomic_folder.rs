//! Atomic replacement of several files in a folder: if the writer is killed, a reader finds either
//! all old files or all new ones.
//!
//! The new files are written to a hidden staging folder and synced. They are then published in one
//! of two ways:
//!
//! * The staging folder is a sibling of the folder. It gets hard links to the files that stay, and
//!   the two folders are exchanged in one system call (`renameat2` with `RENAME_EXCHANGE`). This is
//!   atomic for every program.
//! * If that is not possible (subfolders, a mount point, the current folder, another owner, a file
//!   system without the call), the staging folder is renamed to `.graft-committed` inside the
//!   folder. From then on [`locate`] finds the new files. They are moved to their places after all
//!   old files have been removed, so no program sees a mixture.
//!
//! The next [`write()`] completes or removes the remains of a killed process.

mod staging;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use staging::Staging;

/// Name of the subfolder with committed files, which are the current ones.
const COMMITTED: &str = ".graft-committed";
/// Prefix of the name of a staging folder, followed by the process id.
const STAGING: &str = ".graft-saving.";
/// Replaces [`STAGING`] in the name of a folder with user files that could not be moved. Such a
/// folder is never removed.
const RESCUED: &str = ".graft-rescued.";
/// Prefix of the staging folders of earlier versions.
const EARLIER: &str = ".saving.";
/// File in a committed folder that lists the names of removed files, one per line.
const REMOVED: &str = ".removed";

/// Replaces files of `folder`, which is created if missing, by those that `fill` writes into an
/// empty staging folder. Files for which `is_stale` returns true are removed unless `fill` writes
/// them; all other files stay.
///
/// # Errors
/// The errors of `fill`, and those of the file system converted by `failed`. The old files are then
/// unchanged.
pub fn write<E>(
    folder: &Path,
    is_stale: &dyn Fn(&str) -> bool,
    fill: impl FnOnce(&Path) -> Result<(), E>,
    failed: impl Fn(io::Error) -> E,
) -> Result<(), E> {
    let place = resolve(folder).map_err(&failed)?;
    let staging = Staging::new(&place).map_err(&failed)?;
    let result =
        fill(&staging.path).and_then(|()| staging.publish(&place, is_stale).map_err(&failed));
    if result.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_dir_all(&staging.path);
    }
    result
}

/// The path of the file `name` in a folder written by [`write()`], which may be in the committed
/// subfolder if the writer was killed.
pub fn locate(folder: &Path, name: &str) -> PathBuf {
    let committed = folder.join(COMMITTED).join(name);
    if committed.is_file() { committed } else { folder.join(name) }
}

/// Replaces the folder `place` by the folder `new`, atomically if the file system can exchange two
/// folders.
///
/// # Errors
/// The errors of the file system; `place` is then unchanged.
pub fn replace(new: &Path, place: &Path) -> io::Result<()> {
    sync(new)?;
    step();
    if !place.exists() {
        fs::rename(new, place)?;
    } else if renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE).is_ok() {
        step();
        // The new folder is in place. If the old one cannot be removed now, the next sweep removes
        // it.
        let _ = fs::remove_dir_all(new);
    } else {
        let aside = new.with_extension("old.part");
        fs::rename(place, &aside)?;
        fs::rename(new, place).inspect_err(|_| drop(fs::rename(&aside, place)))?;
        let _ = fs::remove_dir_all(&aside);
    }
    sync(parent(place))
}

/// Completes the committed write of a killed process, and removes uncommitted ones.
///
/// # Errors
/// The errors of the file system.
fn recover(place: &Path) -> io::Result<()> {
    finish(place)?;
    let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (folder, prefixes) in [
        (place, vec![STAGING.to_owned(), EARLIER.to_owned()]),
        (parent(place), vec![format!(".{name}{STAGING}")]),
    ] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let found = entry.file_name().to_string_lossy().into_owned();
            let process = prefixes
                .iter()
                .find_map(|prefix| found.strip_prefix(prefix.as_str()))
                .and_then(|process| process.parse::<u32>().ok());
            if process.is_some_and(is_dead) {
                // The next write tries again.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    Ok(())
}

fn is_dead(process: u32) -> bool {
    process != std::process::id() && !Path::new("/proc").join(process.to_string()).exists()
}

/// Removes the old files, then moves the committed ones to their places.
fn finish(place: &Path) -> io::Result<()> {
    let committed = place.join(COMMITTED);
    if !committed.is_dir() {
        return Ok(());
    }
    let removed = fs::read_to_string(committed.join(REMOVED)).unwrap_or_default();
    let is_plain = |name: &&str| !name.is_empty() && *name != ".." && !name.contains('/');
    let new: Vec<OsString> =
        names(&committed)?.into_iter().filter(|name| name != REMOVED).collect();
    for name in
        removed.lines().filter(is_plain).map(OsStr::new).chain(new.iter().map(OsString::as_os_str))
    {
        remove_if_there(&place.join(name))?;
        step();
    }
    for name in &new {
        fs::rename(committed.join(name), place.join(name))?;
        step();
    }
    remove_if_there(&committed.join(REMOVED))?;
    fs::remove_dir(&committed)?;
    sync(place)
}

/// The path of the folder without symbolic links; its parent is created if missing.
fn resolve(folder: &Path) -> io::Result<PathBuf> {
    if folder.exists() {
        return fs::canonicalize(folder);
    }
    let around = match folder.parent() {
        Some(around) if !around.as_os_str().is_empty() => around,
        _ => Path::new("."),
    };
    fs::create_dir_all(around)?;
    match folder.file_name() {
        Some(name) => Ok(fs::canonicalize(around)?.join(name)),
        // Such as `new/..`, which exists as soon as `new` does.
        None => fs::create_dir_all(folder).and_then(|()| fs::canonicalize(folder)),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// The sorted names of all entries of a folder, except the folders of this module. User files may
/// have names that are not UTF-8.
fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name != COMMITTED && !name.as_encoded_bytes().starts_with(STAGING.as_bytes()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes a file or a folder, if it exists.
fn remove_if_there(path: &Path) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Syncs the entries of a folder to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A point at which a test simulates a killed process.
fn step() {
    #[cfg(test)]
    tests::step();
}

#[cfg(test)]
mod tests;
