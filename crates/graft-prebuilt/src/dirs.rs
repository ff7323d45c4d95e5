//! The folders of prebuilt libraries and sessions on this machine.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::{Fingerprint, process};

/// The permission bit that lets all users write.
const OTHERS_WRITE: u32 = 0o002;

/// Graft's folders outside the notebooks.
#[derive(Clone, Debug)]
pub struct Dirs {
    cache: PathBuf,
    shared: Vec<PathBuf>,
    /// Folders of other prebuilt libraries, whose compiled crates may be reused.
    reusable: Vec<PathBuf>,
}

impl Dirs {
    /// The folders of this user: the cache `$XDG_CACHE_HOME/graft` or `~/.cache/graft`, and
    /// `share/graft` of the program's installation prefix. Without a home directory, the cache is a
    /// private folder in the temporary directory.
    pub fn user() -> Self {
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .map_or_else(temporary, |home| home.join("graft"));
        let shared = std::env::current_exe()
            .ok()
            .and_then(|exe| Some(exe.parent()?.parent()?.join("share/graft")))
            .into_iter()
            .collect();
        Self { cache, shared, reusable: Vec::new() }
    }

    /// Creates the cache. If it is not writable, such as a read-only home directory, a private
    /// folder in the temporary directory is used.
    ///
    /// # Errors
    /// Returns an error if neither can be created or if another user could put libraries into it.
    pub fn claimed(mut self) -> io::Result<Self> {
        if let Err(error) = self.claim() {
            self.cache = temporary();
            // The error of the cache itself is more helpful.
            self.claim().map_err(|_| error)?;
        }
        Ok(self)
    }

    /// The folders of an installation under a prefix, where all users of the program find the
    /// prebuilt library.
    pub fn in_prefix(prefix: &Path) -> Self {
        let user = Self::user();
        let reusable = user.trusted().collect();
        Self { cache: prefix.join("share/graft"), shared: Vec::new(), reusable }
    }

    /// A cache in the folder `cache`, without libraries installed for the whole machine.
    pub fn in_cache(cache: PathBuf) -> Self {
        Self { cache, shared: Vec::new(), reusable: Vec::new() }
    }

    /// Creates the cache if it does not exist.
    ///
    /// # Errors
    /// Returns an error if it cannot be created or if another user could put libraries into it.
    pub fn claim(&self) -> io::Result<()> {
        make_private(&self.cache)
    }

    /// The cache.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Folders of other prebuilt libraries, whose compiled crates may be reused.
    pub fn reusable(&self) -> impl Iterator<Item = &Path> {
        self.reusable.iter().map(PathBuf::as_path)
    }

    /// The folder of the sessions.
    pub fn sessions(&self) -> PathBuf {
        self.cache.join("sessions")
    }

    /// The folder of this user's prebuilt libraries.
    pub fn prebuilt(&self) -> PathBuf {
        self.cache.join("templates")
    }

    /// The folder in which the prebuilt library of a fingerprint is built.
    pub fn prebuilt_folder(&self, fingerprint: &Fingerprint) -> PathBuf {
        self.prebuilt().join(fingerprint.short())
    }

    /// The folders that may contain the prebuilt library of a fingerprint, in the order of
    /// preference.
    pub fn prebuilt_folders(&self, fingerprint: &Fingerprint) -> Vec<PathBuf> {
        self.trusted().map(|folder| folder.join(fingerprint.short())).collect()
    }

    /// The folders of prebuilt libraries: this user's, unless another user could have put libraries
    /// into it, and that of the installation.
    fn trusted(&self) -> impl Iterator<Item = PathBuf> {
        let own = check_private(&self.cache).is_ok().then(|| self.prebuilt());
        own.into_iter().chain(self.shared.iter().map(|folder| folder.join("templates")))
    }

    /// All prebuilt libraries, complete or not, newest first.
    pub fn all_prebuilt(&self) -> Vec<PathBuf> {
        let mut found: Vec<_> = self
            .trusted()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        found.sort();
        found.into_iter().rev().map(|(_, path)| path).collect()
    }
}

/// The cache without a home directory.
fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("graft-{}", process::user()))
}

/// Creates a folder that only this user can enter, or checks an existing one.
///
/// # Errors
/// Returns an error if the folder cannot be created, belongs to another user, or is writable by all
/// users.
pub fn make_private(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    check_private(folder)
}

/// Refuses a folder, or a link to one, that belongs to another user or is writable by all users:
/// libraries in it are executed.
fn check_private(folder: &Path) -> io::Result<()> {
    let refuse = |reason: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    let user = process::user();
    let entry = std::fs::symlink_metadata(folder)?;
    let target = std::fs::metadata(folder)?;
    match [entry.uid(), target.uid()].into_iter().find(|owner| *owner != user) {
        Some(owner) => {
            refuse(format!("`{}` belongs to user {owner}, not to user {user}", folder.display()))
        }
        None if target.mode() & OTHERS_WRITE != 0 => {
            refuse(format!("`{}` is writable by all users", folder.display()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_cache_is_private() {
        let root = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(root.path().join("deep/graft"));
        dirs.claim().unwrap();
        assert_eq!(std::fs::metadata(dirs.cache()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_cache_that_all_users_can_write_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(root.path().join("graft"));
        std::fs::create_dir_all(dirs.prebuilt().join("planted")).unwrap();
        std::fs::set_permissions(dirs.cache(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(dirs.all_prebuilt(), [dirs.prebuilt().join("planted")]);
        std::fs::set_permissions(dirs.cache(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(dirs.claim().unwrap_err().to_string().contains("writable by all users"));
        assert!(dirs.all_prebuilt().is_empty());
    }
}
