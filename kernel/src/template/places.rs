//! Where templates and sessions lie on this machine.

use std::path::{Path, PathBuf};

use super::Identity;

/// Folders of Graft outside the notebooks.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    cache: PathBuf,
    shared: Vec<PathBuf>,
}

impl Places {
    /// Those of this user: `$XDG_CACHE_HOME/graft` (else `~/.cache/graft`), and templates that an installation for the whole machine
    /// put beside the program under `share/graft`.
    pub(crate) fn user() -> Self {
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .unwrap_or_else(std::env::temp_dir)
            .join("graft");
        let shared = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("share/graft"))).into_iter().collect();
        Self { cache, shared }
    }

    /// The folder of it all, for `graft clean`.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Where sessions lie.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.cache.join("sessions")
    }

    /// Where this user's templates lie.
    pub(crate) fn templates(&self) -> PathBuf {
        self.cache.join("templates")
    }

    /// Where a template of that identity is built.
    pub(crate) fn template_folder(&self, identity: &Identity) -> PathBuf {
        self.templates().join(identity.short())
    }

    /// Where one of that identity may be, best first.
    pub(crate) fn template_folders(&self, identity: &Identity) -> Vec<PathBuf> {
        let shared = self.shared.iter().map(|folder| folder.join("templates").join(identity.short()));
        std::iter::once(self.template_folder(identity)).chain(shared).collect()
    }

    /// Every template there is, whole or not, newest first.
    pub(crate) fn all_templates(&self) -> Vec<PathBuf> {
        let folders = std::iter::once(self.templates()).chain(self.shared.iter().map(|folder| folder.join("templates")));
        let mut found: Vec<_> = folders
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
