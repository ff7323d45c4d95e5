//! Where things lie in a template.

use std::path::{Path, PathBuf};

/// Name of the crate that cells use.
pub const FACADE: &str = "graft";

/// The folder of one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The template at `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The copied workspace: its crates are compiled here, and rust-analyzer reads them here.
    pub fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// A packed crate as rust-analyzer sees it.
    pub fn analysis(&self, name: &str) -> PathBuf {
        self.root.join("analysis").join(name)
    }

    /// The facade as the sessions' manifests name it.
    pub fn facade(&self) -> PathBuf {
        self.analysis(FACADE)
    }

    /// What a session's folder begins with: workspace manifest, lock file, the member that keeps the lock whole.
    pub fn skeleton(&self) -> PathBuf {
        self.root.join("session")
    }

    /// Libraries that the child opens: the facade and libstd.
    pub fn libraries(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// The facade that the child opens and cells link.
    pub fn library(&self) -> PathBuf {
        self.libraries().join("libgraft.so")
    }

    /// Names of the crates that cells can use without a `:dep`, each with the file that the facade was linked from.
    pub fn crates(&self) -> PathBuf {
        self.libraries().join("crates")
    }

    /// The facade's metadata, uncompressed.
    pub fn metadata(&self) -> PathBuf {
        self.libraries().join("libgraft.rmeta")
    }

    /// The compiled crates of the copied workspace. Cargo names their files by the path within the workspace, the same for every
    /// template, so the next one would overwrite what this one's facade refers to.
    pub fn members(&self) -> PathBuf {
        self.libraries().join("members")
    }

    /// Where cargo builds; shared by the templates beside this one, so that a new one compiles only what has changed. Names of crates
    /// from elsewhere carry hashes of their versions and features, so what an older template needs of them stays.
    pub fn target(&self) -> PathBuf {
        self.root.with_file_name("target")
    }

    /// Where the crates inside the facade are described: this template's own, those compiled for the target, and for the host (procedural macros).
    pub fn dependency_folders(&self) -> [PathBuf; 3] {
        [self.members(), self.compiled(), self.target().join("debug/deps")]
    }

    /// Where cargo leaves the crates compiled for the target.
    pub fn compiled(&self) -> PathBuf {
        self.target().join(super::TARGET).join("debug/deps")
    }

    /// Empty libraries under the names of those that are inside the facade already: the linker asks for them again for every cell.
    pub fn native(&self) -> PathBuf {
        self.libraries().join("native")
    }

    /// Written last: what the template is, and that it is whole.
    pub fn build_info(&self) -> PathBuf {
        self.root.join("template.json")
    }

    /// Held while a template of this folder is being built.
    pub fn lock(&self) -> PathBuf {
        self.root.with_file_name("lock")
    }
}
