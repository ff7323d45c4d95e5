//! The private folder of a session, which contains everything that evcxr and cargo write.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use graft_prebuilt::{Layout, Registry, make_private, rustc_wrapper, session_config, session_keep};

/// The file that the owner locks while it runs.
const OWNER: &str = "owner";
/// A younger folder without a locked owner file may be under construction.
const CREATION_GRACE: Duration = Duration::from_secs(60);

/// The folder of a session. It is removed on drop, or by a later session if the owner was killed.
#[derive(Debug)]
pub(crate) struct SessionFolder {
    root: PathBuf,
    _owner: File,
}

impl SessionFolder {
    /// Creates a folder under `sessions` from the skeleton of the prebuilt library, and removes the
    /// folders of dead owners.
    pub(crate) fn create(sessions: &Path, prebuilt: &Layout) -> io::Result<Self> {
        make_private(sessions)?;
        sweep(sessions);
        let root =
            sessions.join(format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()));
        DirBuilder::new().mode(0o700).create(&root)?;
        let owner = File::create(root.join(OWNER))?;
        let _ = owner.try_lock();
        let folder = Self { root, _owner: owner };
        folder.fill(prebuilt)?;
        Ok(folder)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// evcxr's working folder.
    pub(crate) fn cell(&self) -> PathBuf {
        self.root.join("cell")
    }

    /// evcxr's configuration folder. It is empty, so that the user's configuration has no effect.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.root.join("config")
    }

    /// An empty standard library, which rust-analyzer reads during evcxr's self test.
    pub(crate) fn empty_library(&self) -> PathBuf {
        self.root.join("library")
    }

    /// The file to which the rustc wrapper appends the names of crates that are being compiled.
    pub(crate) fn progress(&self) -> PathBuf {
        self.root.join("progress")
    }

    /// The manifest of the workspace, which contains the profile of the cells.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }

    /// The source that evcxr generated for the last cell.
    pub(crate) fn generated(&self) -> PathBuf {
        self.root.join("cell/src/lib.rs")
    }

    /// Lets cells depend on crates of a registry, in the versions of the prebuilt library where it
    /// has them. Until then cargo needs no registry and no network.
    pub(crate) fn use_registry(&self, prebuilt: &Layout) -> io::Result<()> {
        let keep = self.root.join("keep/Cargo.toml");
        let text = session_keep(&prebuilt.facade(), Registry::Used).map_err(io::Error::other)?;
        if std::fs::read_to_string(&keep).is_ok_and(|present| present == text) {
            return Ok(());
        }
        copy_writable(&prebuilt.registry_lock(), &self.root.join("Cargo.lock"))?;
        std::fs::write(keep, text)
    }

    /// Writes the files that refer to the prebuilt library.
    pub(crate) fn fill(&self, prebuilt: &Layout) -> io::Result<()> {
        let skeleton = prebuilt.skeleton();
        for folder in ["cell/src", "keep/src", "config", ".cargo"] {
            std::fs::create_dir_all(self.root.join(folder))?;
        }
        for file in
            ["Cargo.toml", "Cargo.lock", "keep/src/lib.rs", "cell/Cargo.toml", "cell/src/lib.rs"]
        {
            copy_writable(&skeleton.join(file), &self.root.join(file))?;
        }
        let keep = session_keep(&prebuilt.facade(), Registry::Unused).map_err(io::Error::other)?;
        std::fs::write(self.root.join("keep/Cargo.toml"), keep)?;
        for name in ["core", "alloc", "std"] {
            let source = self.empty_library().join(name).join("src");
            std::fs::create_dir_all(&source)?;
            std::fs::write(source.join("lib.rs"), b"")?;
        }
        File::create(self.progress())?;
        let wrapper = self.root.join(rustc_wrapper::WRAPPER);
        if !wrapper.exists() {
            symlink(std::env::current_exe()?, &wrapper)?;
        }
        std::fs::write(
            self.root.join(".cargo/config.toml"),
            session_config(prebuilt, &wrapper, &self.progress()),
        )
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Copies the content only, since the files of the prebuilt library may be read-only.
fn copy_writable(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::write(to, std::fs::read(from)?)
}

/// Removes the folders of sessions whose process has ended.
pub fn sweep(sessions: &Path) {
    let Ok(entries) = std::fs::read_dir(sessions) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let abandoned = match File::open(path.join(OWNER)) {
            Ok(owner) => owner.try_lock().is_ok() && is_old_or_filled(&path),
            Err(_) => is_old(&path),
        };
        if abandoned {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// Whether the folder is complete or too old to be under construction; the owner file is created
/// before it is locked.
fn is_old_or_filled(path: &Path) -> bool {
    path.join("cell").exists() || is_old(path)
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|data| data.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > CREATION_GRACE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn prebuilt(root: &Path) -> Layout {
        let layout = Layout::new(root.join("templates/abc"));
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "registry.lock",
            "keep/src/lib.rs",
            "cell/Cargo.toml",
            "cell/src/lib.rs",
        ] {
            let path = layout.skeleton().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, file).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        }
        layout
    }

    #[test]
    fn a_session_writes_only_into_its_own_copies() {
        let root = tempfile::tempdir().unwrap();
        let layout = prebuilt(root.path());
        let folder = SessionFolder::create(&root.path().join("sessions"), &layout).unwrap();
        assert_eq!(std::fs::metadata(&folder.root).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(folder.root.join("Cargo.lock"), "changed").unwrap();
        assert_eq!(
            std::fs::read_to_string(layout.skeleton().join("Cargo.lock")).unwrap(),
            "Cargo.lock"
        );
    }

    #[test]
    fn the_registry_is_used_from_the_first_dependency_on() {
        let root = tempfile::tempdir().unwrap();
        let layout = prebuilt(root.path());
        let folder = SessionFolder::create(&root.path().join("sessions"), &layout).unwrap();
        let read = |file: &str| std::fs::read_to_string(folder.root.join(file)).unwrap();
        assert!(!read("keep/Cargo.toml").contains("candle-core"));
        folder.use_registry(&layout).unwrap();
        assert!(read("keep/Cargo.toml").contains("candle-core"));
        assert_eq!(read("Cargo.lock"), "registry.lock");
        // cargo has added the crate of the cell, which a second call must not remove.
        std::fs::write(folder.root.join("Cargo.lock"), "with a crate").unwrap();
        folder.use_registry(&layout).unwrap();
        assert_eq!(read("Cargo.lock"), "with a crate");
    }

    #[test]
    fn a_dropped_session_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let layout = prebuilt(root.path());
        let sessions = root.path().join("sessions");
        drop(SessionFolder::create(&sessions, &layout).unwrap());
        assert_eq!(std::fs::read_dir(&sessions).unwrap().count(), 0);
    }

    #[test]
    fn sweeping_removes_dead_sessions_only() {
        let root = tempfile::tempdir().unwrap();
        let layout = prebuilt(root.path());
        let sessions = root.path().join("sessions");
        let living = SessionFolder::create(&sessions, &layout).unwrap();
        let dead = sessions.join("1-dead");
        std::fs::create_dir_all(dead.join("cell")).unwrap();
        std::fs::write(dead.join(OWNER), "").unwrap();
        let young = sessions.join("2-young");
        std::fs::create_dir(&young).unwrap();
        sweep(&sessions);
        assert!(living.root.exists());
        assert!(!dead.exists());
        assert!(young.exists());
    }
}
