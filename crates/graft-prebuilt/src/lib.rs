//! The prebuilt library that cells use: built once per compiler and source, shared read-only by every session.
//!
//! A template holds the facade's sources, the crates compiled from them, `libgraft.so`, libstd, and the skeleton of a session's
//! folder. Sessions link and open it where it lies and write nothing into it, so two kernels cannot disturb each other, any user can
//! use a template installed for the whole machine, and no `:dep` can rebuild the library under a living child ([`rustc`] says how).

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
pub use manifests::{session_config, shared_version};
pub use variant::Variant;

/// The one platform.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A template that is whole.
#[derive(Clone, Debug)]
pub struct PrebuiltLibrary {
    /// Where things lie in it.
    pub layout: Layout,
    /// What it was built from.
    pub info: BuildInfo,
}

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrebuiltError {
    /// rustc or cargo is missing or does not run.
    #[error("cannot run {tool}")]
    Toolchain {
        /// Which program.
        tool: String,
        /// Why.
        source: std::io::Error,
    },
    /// cargo ran and failed.
    #[error("building the template failed: {message}")]
    Build {
        /// What cargo said last.
        message: String,
    },
    /// A file could not be written or read.
    #[error("{path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A manifest of the archive is not what it should be.
    #[error("the manifest {path} cannot be used: {reason}")]
    Manifest {
        /// Which manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl PrebuiltError {
    /// For `map_err` of a file operation.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
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
            Self::Build { .. } => "`graft doctor` checks compiler, linker and sources; then `graft install` goes on where it stopped".to_owned(),
            Self::File { .. } => "make room or set XDG_CACHE_HOME to a folder you can write".to_owned(),
            Self::Manifest { .. } => "build graft again from a clean checkout".to_owned(),
        })
    }
}

/// The template for this program and this machine's compiler, the most able there is; without a compiler, one of the same sources, which
/// serves the magics.
pub fn find(dirs: &Dirs) -> Option<PrebuiltLibrary> {
    match toolchain::verbose_version() {
        Ok(_) => Variant::BEST_FIRST.into_iter().find_map(|variant| find_variant(dirs, variant)),
        Err(_) => dirs
            .all_prebuilt()
            .into_iter()
            .filter_map(|folder| open(&folder))
            .find(|template| template.info.sources == archive::HASH),
    }
}

/// The template of that variant.
pub fn find_variant(dirs: &Dirs, variant: Variant) -> Option<PrebuiltLibrary> {
    let fingerprint = fingerprint(variant).ok()?;
    dirs.prebuilt_folders(&fingerprint).into_iter().find_map(|folder| {
        open(&folder).filter(|template| template.info.fingerprint == fingerprint)
    })
}

/// Opens the template in a folder, if it is whole.
pub fn open(folder: &Path) -> Option<PrebuiltLibrary> {
    let layout = Layout::new(folder.to_owned());
    let info = BuildInfo::read(&layout.build_info())?;
    layout.library().exists().then_some(PrebuiltLibrary { layout, info })
}
