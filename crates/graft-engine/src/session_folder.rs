//! The private folder of one session: what evcxr and cargo write goes here and nowhere else.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use graft_prebuilt::make_private;
use graft_prebuilt::{Layout, rustc_wrapper, session_config};

/// File that the owner keeps locked while it lives.
const OWNER: &str = "owner";
/// A folder without a locked owner file may be one that is just being made; after this it is not.
const MOST_YOUTH: Duration = Duration::from_secs(60);

/// One session's folder; removed when dropped, or swept by a later session when the owner was killed.
#[derive(Debug)]
pub(crate) struct SessionFolder {
    root: PathBuf,
    _owner: File,
}

impl SessionFolder {
    /// Makes a folder under `sessions` from the template's skeleton and sweeps those whose owners are gone.
    pub(crate) fn create(sessions: &Path, template: &Layout) -> io::Result<Self> {
        make_private(sessions)?;
        sweep(sessions);
        let root =
            sessions.join(format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()));
        DirBuilder::new().mode(0o700).create(&root)?;
        let owner = File::create(root.join(OWNER))?;
        let _ = owner.try_lock();
        let folder = Self { root, _owner: owner };
        folder.fill(template)?;
        Ok(folder)
    }

    /// The folder that evcxr works in.
    pub(crate) fn cell(&self) -> PathBuf {
        self.root.join("cell")
    }

    /// evcxr's configuration folder: empty, so that the user's own changes nothing.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.root.join("config")
    }

    /// A standard library without content: what rust-analyzer reads while evcxr tries itself out.
    pub(crate) fn empty_library(&self) -> PathBuf {
        self.root.join("library")
    }

    /// Takes the names of crates that are being compiled.
    pub(crate) fn progress(&self) -> PathBuf {
        self.root.join("progress")
    }

    /// The workspace's manifest, which holds the profile of the cells.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }

    /// What evcxr made of the last cell.
    pub(crate) fn generated(&self) -> PathBuf {
        self.root.join("cell/src/lib.rs")
    }

    fn fill(&self, template: &Layout) -> io::Result<()> {
        let skeleton = template.skeleton();
        for folder in ["cell/src", "keep/src", "config", ".cargo"] {
            std::fs::create_dir_all(self.root.join(folder))?;
        }
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "keep/Cargo.toml",
            "keep/src/lib.rs",
            "cell/Cargo.toml",
            "cell/src/lib.rs",
        ] {
            copy_writable(&skeleton.join(file), &self.root.join(file))?;
        }
        for name in ["core", "alloc", "std"] {
            let source = self.empty_library().join(name).join("src");
            std::fs::create_dir_all(&source)?;
            std::fs::write(source.join("lib.rs"), b"")?;
        }
        File::create(self.progress())?;
        let wrapper = self.root.join(rustc_wrapper::WRAPPER);
        symlink(std::env::current_exe()?, &wrapper)?;
        std::fs::write(
            self.root.join(".cargo/config.toml"),
            session_config(template, &wrapper, &self.progress()),
        )
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// A copy that the session may change even where the template is read-only.
fn copy_writable(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::write(to, std::fs::read(from)?)
}

/// Removes the folders of sessions whose process is gone.
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

/// Between making the owner file and locking it the folder is still empty.
fn is_old_or_filled(path: &Path) -> bool {
    path.join("cell").exists() || is_old(path)
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|data| data.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > MOST_YOUTH))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn template(root: &Path) -> Layout {
        let layout = Layout::new(root.join("templates/abc"));
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "keep/Cargo.toml",
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
        let layout = template(root.path());
        let folder = SessionFolder::create(&root.path().join("sessions"), &layout).unwrap();
        assert_eq!(std::fs::metadata(&folder.root).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(folder.root.join("Cargo.lock"), "changed").unwrap();
        assert_eq!(
            std::fs::read_to_string(layout.skeleton().join("Cargo.lock")).unwrap(),
            "Cargo.lock"
        );
    }

    #[test]
    fn a_dropped_session_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let layout = template(root.path());
        let sessions = root.path().join("sessions");
        drop(SessionFolder::create(&sessions, &layout).unwrap());
        assert_eq!(std::fs::read_dir(&sessions).unwrap().count(), 0);
    }

    #[test]
    fn sweeping_takes_dead_sessions_and_spares_living_ones() {
        let root = tempfile::tempdir().unwrap();
        let layout = template(root.path());
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
