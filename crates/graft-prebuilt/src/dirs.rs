//! Where templates and sessions lie on this machine.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::Fingerprint;
use crate::process;

/// Permission of everybody to write.
const OTHERS_WRITE: u32 = 0o002;

/// Folders of Graft outside the notebooks.
#[derive(Clone, Debug)]
pub struct Dirs {
    cache: PathBuf,
    shared: Vec<PathBuf>,
    /// Where crates may be compiled already that a new template needs.
    reusable: Vec<PathBuf>,
}

impl Dirs {
    /// Those of this user: `$XDG_CACHE_HOME/graft` (else `~/.cache/graft`), and templates that an installation for the whole machine
    /// put beside the program under `share/graft`. Without a home the cache is a folder of this user's among the temporary files.
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

    /// Claims the cache; where this user cannot write it (a home that is read-only), sessions go into a folder among the temporary files.
    ///
    /// # Errors
    /// When neither can be made, or when somebody else could put libraries into them.
    pub fn claimed(mut self) -> io::Result<Self> {
        if let Err(error) = self.claim() {
            self.cache = temporary();
            // What is wrong with the cache itself says more.
            self.claim().map_err(|_| error)?;
        }
        Ok(self)
    }

    /// Those of an installation under a prefix: its templates lie beside its program, where everybody who starts it finds them.
    pub fn in_prefix(prefix: &Path) -> Self {
        let user = Self::user();
        let reusable = user.trusted().collect();
        Self { cache: prefix.join("share/graft"), shared: Vec::new(), reusable }
    }

    /// A cache in the folder `cache`, without libraries installed for the whole machine.
    pub fn in_cache(cache: PathBuf) -> Self {
        Self { cache, shared: Vec::new(), reusable: Vec::new() }
    }

    /// Makes the cache where there is none yet.
    ///
    /// # Errors
    /// When it cannot be made, or when somebody else could put libraries into it.
    pub fn claim(&self) -> io::Result<()> {
        make_private(&self.cache)
    }

    /// The folder of it all, for `graft clean`.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Folders of other templates, beside which compiled crates may lie.
    pub fn reusable(&self) -> impl Iterator<Item = &Path> {
        self.reusable.iter().map(PathBuf::as_path)
    }

    /// Where sessions lie.
    pub fn sessions(&self) -> PathBuf {
        self.cache.join("sessions")
    }

    /// Where this user's templates lie.
    pub fn prebuilt(&self) -> PathBuf {
        self.cache.join("templates")
    }

    /// Where a template of that fingerprint is built.
    pub fn prebuilt_folder(&self, fingerprint: &Fingerprint) -> PathBuf {
        self.prebuilt().join(fingerprint.short())
    }

    /// Where one of that fingerprint may be, best first.
    pub fn prebuilt_folders(&self, fingerprint: &Fingerprint) -> Vec<PathBuf> {
        self.trusted().map(|folder| folder.join(fingerprint.short())).collect()
    }

    /// The folders of templates: this user's, unless somebody else could have put libraries into it, and the machine's.
    fn trusted(&self) -> impl Iterator<Item = PathBuf> {
        let own = check_private(&self.cache).is_ok().then(|| self.prebuilt());
        own.into_iter().chain(self.shared.iter().map(|folder| folder.join("templates")))
    }

    /// Every template there is, whole or not, newest first.
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

/// Where the cache is without a home.
fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("graft-{}", process::user()))
}

/// Makes a folder that only this user can enter; one that is there is checked.
///
/// # Errors
/// When it cannot be made, belongs to somebody else or can be written by everybody.
pub fn make_private(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    check_private(folder)
}

/// Refuses a folder, or a link to one, that others have made or can write into: its libraries are run.
fn check_private(folder: &Path) -> io::Result<()> {
    let refuse = |reason: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    let user = process::user();
    let entry = std::fs::symlink_metadata(folder)?;
    let target = std::fs::metadata(folder)?;
    match [entry.uid(), target.uid()].into_iter().find(|owner| *owner != user) {
        Some(owner) => {
            refuse(format!("{} belongs to user {owner}, not to user {user}", folder.display()))
        }
        None if target.mode() & OTHERS_WRITE != 0 => {
            refuse(format!("{} can be written by everybody", folder.display()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_cache_is_this_user_s_alone() {
        let root = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(root.path().join("deep/graft"));
        dirs.claim().unwrap();
        assert_eq!(std::fs::metadata(dirs.cache()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_cache_that_everybody_can_write_is_neither_used_nor_read() {
        let root = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(root.path().join("graft"));
        std::fs::create_dir_all(dirs.prebuilt().join("planted")).unwrap();
        std::fs::set_permissions(dirs.cache(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(dirs.all_prebuilt(), [dirs.prebuilt().join("planted")]);
        std::fs::set_permissions(dirs.cache(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(dirs.claim().unwrap_err().to_string().contains("written by everybody"));
        assert!(dirs.all_prebuilt().is_empty());
    }
}
