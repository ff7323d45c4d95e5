//! The prebuilt library that cells link: built once per compiler and sources, and shared read-only
//! by all sessions.
//!
//! Its folder contains the sources of the facade, the compiled crates, `libgraft.so`, libstd, and
//! the skeleton of a session's folder. Sessions open and link these files in place and never write
//! to them. Kernels therefore cannot disturb each other, all users can share a library that is
//! installed for the whole machine, and no `:dep` can rebuild the library that a running child has
//! open ([`rustc_wrapper`] describes how). On disk the library is called a *template*: the folder
//! `templates` and the file `template.json` have kept this name.

mod archive;
mod build;
mod build_info;
mod dirs;
mod fingerprint;
mod hash;
mod layout;
mod manifests;
pub mod process;
mod reuse;
pub mod rustc_wrapper;
pub mod toolchain;
mod variant;

use std::path::{Path, PathBuf};

use graft_spec::Hint;

pub use build::{build, stop as stop_build};
pub use build_info::BuildInfo;
pub use dirs::{Dirs, make_private};
pub use fingerprint::Fingerprint;
use fingerprint::fingerprint;
pub use layout::{FACADE, Layout};
pub use manifests::{analysis_config, session_config, session_without_crates, shared_version};
pub use variant::Variant;

/// The supported platform.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A complete prebuilt library.
#[derive(Clone, Debug)]
pub struct PrebuiltLibrary {
    /// The paths of its files.
    pub layout: Layout,
    /// The compiler and the sources that it was built from.
    pub info: BuildInfo,
}

/// An error of building the prebuilt library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrebuiltError {
    /// rustc or cargo is missing or does not run.
    #[error("cannot run {tool}")]
    Toolchain {
        /// The program.
        tool: String,
        /// The I/O error.
        source: std::io::Error,
    },
    /// cargo or rustc failed.
    #[error("building the prebuilt library failed: {message}")]
    Build {
        /// The last lines of output.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot access `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// A manifest in the archive is invalid.
    #[error("cannot use the manifest `{path}`: {reason}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
}

impl PrebuiltError {
    /// Wraps the error of an operation on `path`, for `map_err`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl Hint for PrebuiltError {
    fn code(&self) -> &'static str {
        match self {
            Self::Toolchain { .. } => "prebuilt::toolchain",
            Self::Build { .. } => "prebuilt::build",
            Self::File { .. } => "prebuilt::file",
            Self::Manifest { .. } => "prebuilt::manifest",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Toolchain { .. } => "install Rust from https://rustup.rs, then run `graft install` again".to_owned(),
            Self::Build { .. } => "`graft doctor` checks compiler, linker and sources; then `graft install` continues where it stopped".to_owned(),
            Self::File { .. } => "free disk space, or set XDG_CACHE_HOME to a writable folder".to_owned(),
            Self::Manifest { .. } => "rebuild graft from a clean checkout".to_owned(),
        })
    }
}

/// Finds the prebuilt library for this program and the installed compiler; a variant with GPU
/// support is preferred. Without a compiler, any library of the same sources is returned, since
/// magics need no compiler.
pub fn find(dirs: &Dirs) -> Option<PrebuiltLibrary> {
    match toolchain::verbose_version() {
        Ok(_) => Variant::BEST_FIRST.into_iter().find_map(|variant| find_variant(dirs, variant)),
        Err(_) => dirs
            .all_prebuilt()
            .into_iter()
            .filter_map(|folder| open(&folder))
            .find(|prebuilt| prebuilt.info.sources == archive::HASH),
    }
}

/// Finds the prebuilt library of a variant.
pub fn find_variant(dirs: &Dirs, variant: Variant) -> Option<PrebuiltLibrary> {
    let fingerprint = fingerprint(variant).ok()?;
    dirs.prebuilt_folders(&fingerprint).into_iter().find_map(|folder| {
        open(&folder).filter(|prebuilt| prebuilt.info.fingerprint == fingerprint)
    })
}

/// Opens the prebuilt library in `folder`; `None` if it is missing or incomplete.
pub fn open(folder: &Path) -> Option<PrebuiltLibrary> {
    let layout = Layout::new(folder.to_owned());
    let info = BuildInfo::read(&layout.build_info())?;
    layout.library().exists().then_some(PrebuiltLibrary { layout, info })
}
