//! Where things lie in a template.

use std::path::{Path, PathBuf};

/// Name of the crate that cells use.
pub(crate) const FACADE: &str = "graft";

/// The folder of one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The template at `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The copied workspace: its crates are compiled here, and rust-analyzer reads them here.
    pub(crate) fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// The facade as the sessions' manifests name it.
    pub(crate) fn facade(&self) -> PathBuf {
        self.root.join("facade")
    }

    /// What a session's folder begins with: workspace manifest, lock file, the member that keeps the lock whole.
    pub(crate) fn skeleton(&self) -> PathBuf {
        self.root.join("session")
    }

    /// Libraries that the child opens: the facade and libstd.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// The facade that the child opens and cells link.
    pub(crate) fn library(&self) -> PathBuf {
        self.libraries().join("libgraft.so")
    }

    /// The facade's metadata, uncompressed.
    pub(crate) fn metadata(&self) -> PathBuf {
        self.libraries().join("libgraft.rmeta")
    }

    /// Where cargo builds; shared by the templates beside this one, so that a new one compiles only what has changed. Cargo's file
    /// names carry hashes, so what an older template needs stays.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.with_file_name("target")
    }

    /// Where cargo leaves the compiled crates: for the target, and for the host (procedural macros).
    pub(crate) fn dependency_folders(&self) -> [PathBuf; 2] {
        [self.target().join(super::TARGET).join("debug/deps"), self.target().join("debug/deps")]
    }

    /// Written last: what the template is, and that it is whole.
    pub(crate) fn stamp(&self) -> PathBuf {
        self.root.join("template.json")
    }

    /// Held while a template of this folder is being built.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.with_file_name("lock")
    }
}
