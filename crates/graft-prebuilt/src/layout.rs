//! The paths in the folder of a prebuilt library.

use std::path::{Path, PathBuf};

/// The name of the crate that cells use.
pub const FACADE: &str = "graft";

/// The folder of a prebuilt library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the library in `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The copy of the workspace, which is compiled and which rust-analyzer reads.
    pub fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// The manifest folder of a crate for rust-analyzer.
    pub fn analysis(&self, name: &str) -> PathBuf {
        self.root.join("analysis").join(name)
    }

    /// The facade as a dependency of sessions.
    pub fn facade(&self) -> PathBuf {
        self.analysis(FACADE)
    }

    /// The skeleton of a session's folder: workspace manifest, lock file, and the member that keeps
    /// the lock file complete.
    pub fn skeleton(&self) -> PathBuf {
        self.root.join("session")
    }

    /// The folder of the libraries that the child opens: the facade and libstd.
    pub fn libraries(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// The facade, which the child opens and cells link.
    pub fn library(&self) -> PathBuf {
        self.libraries().join("libgraft.so")
    }

    /// A list of the crates that cells can use without a `:dep`, with the file of each that the
    /// facade was linked from.
    pub fn crates(&self) -> PathBuf {
        self.libraries().join("crates")
    }

    /// The uncompressed metadata of the facade.
    pub fn metadata(&self) -> PathBuf {
        self.libraries().join("libgraft.rmeta")
    }

    /// The compiled crates of the copied workspace. cargo derives their file names from the path
    /// within the workspace, which is the same in all prebuilt libraries, so the next build would
    /// overwrite files that this facade refers to.
    pub fn members(&self) -> PathBuf {
        self.libraries().join("members")
    }

    /// The target folder of cargo. All prebuilt libraries in the same parent folder share it, so
    /// that a new one compiles only what has changed. File names of external crates contain a hash
    /// of version and features, so files of older libraries are not replaced.
    pub fn target(&self) -> PathBuf {
        self.root.with_file_name("target")
    }

    /// The folders with the metadata of the crates in the facade: members, crates compiled for the
    /// target, and crates for the host (procedural macros).
    pub fn dependency_folders(&self) -> [PathBuf; 3] {
        [self.members(), self.compiled(), self.target().join("debug/deps")]
    }

    /// The folder of the crates compiled for the target.
    pub fn compiled(&self) -> PathBuf {
        self.target().join(super::TARGET).join("debug/deps")
    }

    /// Empty archives named as the native libraries inside the facade. The linker looks for these
    /// libraries again for each cell.
    pub fn native(&self) -> PathBuf {
        self.libraries().join("native")
    }

    /// The description of the build. It is written last, so its presence means that the library is
    /// complete.
    pub fn build_info(&self) -> PathBuf {
        self.root.join("template.json")
    }

    /// The lock file of builds in the same parent folder.
    pub fn lock(&self) -> PathBuf {
        self.root.with_file_name("lock")
    }
}
