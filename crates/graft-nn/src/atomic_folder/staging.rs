//! The staging folder, and the two ways to publish it.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{COMMITTED, REMOVED, RESCUED, STAGING, finish, names, parent, recover, step, sync};

/// The folder into which new files are written before they are published.
pub(super) struct Staging {
    pub(super) path: PathBuf,
    /// Whether it is a sibling of the folder, so that the two can be exchanged.
    is_sibling: bool,
}

impl Staging {
    pub(super) fn new(place: &Path) -> io::Result<Self> {
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

    pub(super) fn publish(&self, place: &Path, is_stale: &dyn Fn(&str) -> bool) -> io::Result<()> {
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
        // A subfolder of the set is replaced as a whole; a user's folder that has the name of a new
        // file is not.
        if let Some(name) =
            new.iter().find(|name| place.join(name).is_dir() && !self.path.join(name).is_dir())
        {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!("`{}` is an existing folder", name.to_string_lossy()),
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

    /// Exchanges the folders. Returns false, without changes, if that is not possible. After the
    /// exchange it never fails.
    fn exchange(&self, place: &Path, is_stale: &dyn Fn(&str) -> bool) -> io::Result<bool> {
        let ours = fs::metadata(&self.path)?;
        let theirs = fs::metadata(place)?;
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
        // The new files are in place, so later errors must not be reported as a failed write.
        let moved = self.move_late_files(place, &stays);
        let _ = sync(parent(place));
        step();
        match moved {
            // If it cannot be removed now, the next write removes it.
            Ok(()) => drop(fs::remove_dir_all(&self.path)),
            Err(_) => self.rescue(),
        }
        Ok(true)
    }

    /// After the exchange, moves files that appeared in the old folder while the links were
    /// created.
    fn move_late_files(&self, place: &Path, stays: &dyn Fn(&OsString) -> bool) -> io::Result<()> {
        for name in names(&self.path)?.into_iter().filter(stays) {
            if fs::symlink_metadata(place.join(&name)).is_err() {
                fs::rename(self.path.join(&name), place.join(&name))?;
            }
        }
        Ok(())
    }

    /// Renames the staging folder, so that no write removes it.
    fn rescue(&self) {
        let name =
            self.path.file_name().unwrap_or_default().to_string_lossy().replace(STAGING, RESCUED);
        let free = (0..)
            .map(|number| self.path.with_file_name(format!("{name}.{number}")))
            .find(|path| fs::symlink_metadata(path).is_err());
        // If this fails as well, the folder stays until the next write.
        free.into_iter().for_each(|path| drop(fs::rename(&self.path, path)));
    }
}

fn undo(linked: &[PathBuf]) -> io::Result<bool> {
    linked.iter().try_for_each(fs::remove_file)?;
    Ok(false)
}

/// Whether a folder can be exchanged: it has no subfolders, is not a mount point, and does not
/// contain the current folder of this process.
fn is_exchangeable(place: &Path) -> bool {
    let plain = || {
        let metadata = fs::metadata(place)?;
        let parent_metadata = fs::metadata(parent(place))?;
        let mut entries = fs::read_dir(place)?;
        let files_only = entries.all(|entry| {
            entry.and_then(|entry| entry.file_type()).is_ok_and(|kind| !kind.is_dir())
        });
        Ok::<_, io::Error>(files_only && metadata.dev() == parent_metadata.dev())
    };
    let is_current = std::env::current_dir().is_ok_and(|current| current.starts_with(place));
    !is_current && plain().unwrap_or(false)
}

fn make_empty(folder: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder)
}
