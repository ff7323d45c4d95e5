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

    /// The copy of the workspace, which is compiled.
    pub fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// The folders of the embedded models and data sets, each with the variable that tells it to
    /// the library.
    pub fn assets(&self) -> [(&'static str, PathBuf); 2] {
        let folder = |name: &str| self.sources().join("crates").join(name).join("assets");
        [("GRAFT_ASSETS", folder("graft-models")), ("GRAFT_DATA", folder("graft-data"))]
    }

    /// The folder of a crate as rust-analyzer sees it: its manifest and a copy of its sources.
    pub fn analysis(&self, name: &str) -> PathBuf {
        self.root.join("analysis").join(name)
    }

    /// The facade as a dependency of sessions.
    pub fn facade(&self) -> PathBuf {
        self.analysis(FACADE)
    }

    /// The skeleton of a session's folder: workspace manifest, lock file, and the member that keeps
    /// the lock file complete. A session without crates needs neither of the last two.
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

    /// A list of the crates that cells can use without a `:dep`, with the name of each one's file
    /// in [`Layout::dependencies`].
    pub fn crates(&self) -> PathBuf {
        self.libraries().join("crates")
    }

    /// The uncompressed metadata of the facade.
    pub fn metadata(&self) -> PathBuf {
        self.libraries().join("libgraft.rmeta")
    }

    /// The metadata of the crates in the facade. Their machine code is in the facade itself.
    pub fn dependencies(&self) -> PathBuf {
        self.libraries().join("deps")
    }

    /// The procedural macros that the crates in the facade mention in their metadata.
    pub fn macros(&self) -> PathBuf {
        self.libraries().join("macros")
    }

    /// The folders in which the compiler finds the crates of the facade.
    pub fn dependency_folders(&self) -> [PathBuf; 2] {
        [self.dependencies(), self.macros()]
    }

    /// The target folder of cargo during the build, unless the caller names another. All prebuilt
    /// libraries in the same parent folder share it, so that a new one compiles only what has
    /// changed.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.with_file_name("target")
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
