//! The private folder of a session, which contains everything that evcxr and cargo write.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use graft_prebuilt::{
    Layout, analysis_config, make_private, rustc_wrapper, session_config, session_keep,
    session_without_crates,
};

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

    /// An empty standard library, which evcxr's rust-analyzer reads.
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

    /// The compiler's arguments for the last cell, written by the rustc wrapper.
    pub(crate) fn recorded_cell(&self) -> PathBuf {
        self.root.join("cell-arguments")
    }

    /// The folder in which the compiler looks for the types of variables.
    pub(crate) fn probe(&self) -> PathBuf {
        self.root.join("probe")
    }

    /// The workspace that the session's analyzer reads: that of the session, with the facade's
    /// dependencies.
    pub(crate) fn analysis(&self) -> PathBuf {
        self.root.join("analysis")
    }

    /// Prepares both workspaces for crates of a registry, in the versions of the prebuilt library
    /// where it has them. Until then cargo needs no registry and no network. Does nothing the
    /// second time.
    pub(crate) fn allow_crates(&self, prebuilt: &Layout) -> io::Result<()> {
        let skeleton = prebuilt.skeleton();
        let wanted = session_keep(&prebuilt.facade()).map_err(io::Error::other)?;
        if std::fs::read_to_string(self.root.join("keep/Cargo.toml"))? == wanted {
            return Ok(());
        }
        for workspace in [self.analysis(), self.root.clone()] {
            copy_writable(&skeleton.join("Cargo.lock"), &workspace.join("Cargo.lock"))?;
            std::fs::write(workspace.join("keep/Cargo.toml"), &wanted)?;
        }
        Ok(())
    }

    /// Gives the analyzer the versions of the crates that cells have added.
    pub(crate) fn share_versions(&self) {
        let (from, to) = (self.root.join("Cargo.lock"), self.analysis().join("Cargo.lock"));
        let lock = std::fs::read(from).unwrap_or_default();
        if !lock.is_empty() && std::fs::read(&to).ok().as_ref() != Some(&lock) {
            let _ = std::fs::write(to, lock);
        }
    }

    /// Writes the files that refer to the prebuilt library.
    pub(crate) fn fill(&self, prebuilt: &Layout) -> io::Result<()> {
        for folder in ["config", "probe", ".cargo", "analysis/.cargo"] {
            std::fs::create_dir_all(self.root.join(folder))?;
        }
        fill_workspace(&prebuilt.skeleton(), &self.root)?;
        fill_workspace(&prebuilt.skeleton(), &self.analysis())?;
        std::fs::write(self.analysis().join(".cargo/config.toml"), analysis_config())?;
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
            session_config(prebuilt, &wrapper, &self.progress(), &self.recorded_cell()),
        )
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Creates a workspace with the members `cell` and `keep`, without the lock file of the skeleton.
fn fill_workspace(skeleton: &Path, to: &Path) -> io::Result<()> {
    for folder in ["cell/src", "keep/src"] {
        std::fs::create_dir_all(to.join(folder))?;
    }
    for file in ["Cargo.toml", "keep/src/lib.rs", "cell/Cargo.toml", "cell/src/lib.rs"] {
        copy_writable(&skeleton.join(file), &to.join(file))?;
    }
    std::fs::write(to.join("keep/Cargo.toml"), session_without_crates())
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
        for file in
            ["Cargo.toml", "Cargo.lock", "keep/src/lib.rs", "cell/Cargo.toml", "cell/src/lib.rs"]
        {
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
        assert!(!folder.root.join("Cargo.lock").exists(), "no crate is needed yet");
        let keep = || std::fs::read_to_string(folder.root.join("keep/Cargo.toml")).unwrap();
        assert!(!keep().contains("candle-core"), "cargo reads no registry");
        folder.allow_crates(&layout).unwrap();
        assert!(keep().contains("candle-core"));
        for workspace in [folder.root.clone(), folder.analysis()] {
            let lock = std::fs::read_to_string(workspace.join("Cargo.lock")).unwrap();
            assert_eq!(lock, "Cargo.lock");
        }
        std::fs::write(folder.root.join("Cargo.lock"), "changed").unwrap();
        folder.allow_crates(&layout).unwrap();
        let lock = std::fs::read_to_string(folder.root.join("Cargo.lock")).unwrap();
        assert_eq!(lock, "changed", "the second call keeps what cargo has added");
        assert_eq!(
            std::fs::read_to_string(layout.skeleton().join("Cargo.lock")).unwrap(),
            "Cargo.lock"
        );
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
