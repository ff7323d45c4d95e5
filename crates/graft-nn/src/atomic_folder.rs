//! Files of one folder that are replaced together: whenever the writer is killed, a reader finds all of the old files or all of the new ones.
//!
//! The new files are written to a hidden staging folder and synced. Then one of two things happens:
//!
//! * The staging folder is a sibling, gets hard links to the files that stay, and the two folders are exchanged in one system call (`renameat2` with
//!   `RENAME_EXCHANGE`). This is atomic for every program.
//! * Where that is not possible (subfolders, a mount point, the current folder, another owner, a file system without the call), the staging folder is
//!   renamed to `.graft-committed` inside the folder. From that moment [`locate`] finds the new files; they are then moved to their places, after every
//!   old file has been removed, so that no program ever sees a mixture.
//!
//! What a killed process leaves behind is completed or removed by the next [`write()`].

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// The folder, inside the one that is written, whose files are the current ones.
const COMMITTED: &str = ".graft-committed";
/// Part of the name of a staging folder; the process id follows.
const STAGING: &str = ".graft-saving.";
/// In the place of [`STAGING`] in the name of a folder with files of the user that could not be moved: nothing removes it.
const RESCUED: &str = ".graft-rescued.";
/// Staging folders of earlier versions.
const EARLIER: &str = ".saving.";
/// In a committed folder: names of files that no longer belong to the set, one per line.
const REMOVED: &str = ".removed";

/// Replaces files of `folder`, which is created if missing, by those that `fill` writes into the empty folder that it is given. Files for which
/// `is_stale` holds are removed unless `fill` writes them; all other files stay.
///
/// # Errors
/// Those of `fill`, and those of the file system through `failed`; the old files are then untouched.
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

/// Path from which the file `name` of a folder written by [`write()`] must be read: a process that was killed may not have moved it to its place.
pub fn locate(folder: &Path, name: &str) -> PathBuf {
    let committed = folder.join(COMMITTED).join(name);
    if committed.is_file() { committed } else { folder.join(name) }
}

/// Puts the folder `new` in the place of `place`, in one step where the file system can exchange two folders.
///
/// # Errors
/// Those of the file system; `place` is then what it was.
pub fn replace(new: &Path, place: &Path) -> io::Result<()> {
    sync(new)?;
    step();
    if !place.exists() {
        fs::rename(new, place)?;
    } else if renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE).is_ok() {
        step();
        // The new folder is in place; what cannot be removed now is removed by the next sweep.
        let _ = fs::remove_dir_all(new);
    } else {
        let aside = new.with_extension("old.part");
        fs::rename(place, &aside)?;
        fs::rename(new, place).inspect_err(|_| drop(fs::rename(&aside, place)))?;
        let _ = fs::remove_dir_all(&aside);
    }
    sync(parent(place))
}

/// Completes what a killed process had committed, and removes what others had not.
///
/// # Errors
/// Those of the file system.
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
                // What cannot be removed is tried again by the next write.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    Ok(())
}

fn is_dead(process: u32) -> bool {
    process != std::process::id() && !Path::new("/proc").join(process.to_string()).exists()
}

/// Moves committed files to their places, after the old ones have been removed.
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

/// The new files before they take their places.
struct Staging {
    path: PathBuf,
    /// Whether the whole folder can be exchanged.
    is_sibling: bool,
}

impl Staging {
    fn new(place: &Path) -> io::Result<Self> {
        let process = std::process::id();
        let sibling = place.with_file_name(format!(
            ".{}{STAGING}{process}",
            place.file_name().unwrap_or_default().to_string_lossy()
        ));
        if place.is_dir() {
            recover(place)?;
        }
        if (!place.exists() || is_exchangeable(place)) && make_empty(&sibling).is_ok() {
            return Ok(Self { path: sibling, is_sibling: true });
        }
        fs::create_dir_all(place)?;
        let inside = place.join(format!("{STAGING}{process}"));
        make_empty(&inside)?;
        Ok(Self { path: inside, is_sibling: false })
    }

    fn publish(&self, place: &Path, is_stale: &dyn Fn(&str) -> bool) -> io::Result<()> {
        sync(&self.path)?;
        step();
        if self.is_sibling && !place.exists() {
            fs::rename(&self.path, place)?;
            return sync(parent(place));
        }
        if self.is_sibling && self.exchange(place, is_stale)? {
            return Ok(());
        }
        let new = names(&self.path)?;
        // A folder of the set is replaced whole; a user's folder in the way of a file is not.
        if let Some(name) =
            new.iter().find(|name| place.join(name).is_dir() && !self.path.join(name).is_dir())
        {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!("`{}` is a folder there", name.to_string_lossy()),
            ));
        }
        let is_removed =
            |name: &OsString| !new.contains(name) && name.to_str().is_some_and(is_stale);
        let removed: Vec<String> = names(place)?
            .into_iter()
            .filter(is_removed)
            .filter_map(|name| name.into_string().ok())
            .collect();
        fs::write(self.path.join(REMOVED), removed.join("\n"))?;
        sync(&self.path)?;
        step();
        fs::rename(&self.path, place.join(COMMITTED))?;
        step();
        finish(place)
    }

    /// Exchanges the folders; false where that is not possible, with nothing changed. Once they are exchanged, nothing fails any more.
    fn exchange(&self, place: &Path, is_stale: &dyn Fn(&str) -> bool) -> io::Result<bool> {
        let (ours, theirs) = (fs::metadata(&self.path)?, fs::metadata(place)?);
        if (ours.uid(), ours.gid()) != (theirs.uid(), theirs.gid()) {
            return Ok(false);
        }
        let new = names(&self.path)?;
        let stays = |name: &OsString| {
            !new.contains(name) && name.to_str().is_none_or(|name| !is_stale(name))
        };
        let mut linked = Vec::new();
        for name in names(place)?.into_iter().filter(stays) {
            let link = self.path.join(&name);
            if fs::hard_link(place.join(&name), &link).is_err() {
                return undo(&linked);
            }
            linked.push(link);
            step();
        }
        fs::set_permissions(&self.path, theirs.permissions())?;
        sync(&self.path)?;
        step();
        if renameat_with(CWD, &self.path, CWD, place, RenameFlags::EXCHANGE).is_err() {
            return undo(&linked);
        }
        step();
        // The new files are in place, so an error from here on must not look like a save that failed.
        let moved = self.move_late_files(place, &stays);
        let _ = sync(parent(place));
        step();
        match moved {
            // What cannot be removed now is removed by the next write.
            Ok(()) => drop(fs::remove_dir_all(&self.path)),
            Err(_) => self.rescue(),
        }
        Ok(true)
    }

    /// The staging folder has the old files now: moves those over that appeared among them while links were made.
    fn move_late_files(&self, place: &Path, stays: &dyn Fn(&OsString) -> bool) -> io::Result<()> {
        for name in names(&self.path)?.into_iter().filter(stays) {
            if fs::symlink_metadata(place.join(&name)).is_err() {
                fs::rename(self.path.join(&name), place.join(&name))?;
            }
        }
        Ok(())
    }

    /// Renames the staging folder, so that neither this write nor the next removes it.
    fn rescue(&self) {
        let name =
            self.path.file_name().unwrap_or_default().to_string_lossy().replace(STAGING, RESCUED);
        let free = (0..)
            .map(|number| self.path.with_file_name(format!("{name}.{number}")))
            .find(|path| fs::symlink_metadata(path).is_err());
        // Where even this fails, the folder stays until the next write.
        free.into_iter().for_each(|path| drop(fs::rename(&self.path, path)));
    }
}

fn undo(linked: &[PathBuf]) -> io::Result<bool> {
    linked.iter().try_for_each(fs::remove_file)?;
    Ok(false)
}

/// Whether a folder can be replaced by another one: it has files only, is not a mount point, and is not what this process works in.
fn is_exchangeable(place: &Path) -> bool {
    let plain = || {
        let (own, around) = (fs::metadata(place)?, fs::metadata(parent(place))?);
        let mut entries = fs::read_dir(place)?;
        let files_only = entries.all(|entry| {
            entry.and_then(|entry| entry.file_type()).is_ok_and(|kind| !kind.is_dir())
        });
        Ok::<_, io::Error>(files_only && own.dev() == around.dev())
    };
    let is_current = std::env::current_dir().is_ok_and(|current| current.starts_with(place));
    !is_current && plain().unwrap_or(false)
}

/// The folder's path without links, whose parent exists.
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

fn make_empty(folder: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder)
}

/// The names of everything in a folder, sorted, without the folders of this module. Those of a user's files need not be UTF-8.
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

/// Removes a file, or a folder with everything in it.
fn remove_if_there(path: &Path) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a folder's entries to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A point at which a test stops as a killed process does.
fn step() {
    #[cfg(test)]
    tests::step();
}

#[cfg(test)]
mod tests;
