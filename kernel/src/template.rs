//! The prebuilt library that cells use: built once per compiler and source, shared read-only by every session.
//!
//! A template holds the facade's sources, the crates compiled from them, `libgraft.so`, libstd, and the skeleton of a session's
//! folder. Sessions link and open it where it lies and write nothing into it, so two kernels cannot disturb each other, any user can
//! use a template installed for the whole machine, and no `:dep` can rebuild the library under a living child ([`rustc`] says how).

pub(crate) mod archive;
mod build;
mod flavour;
mod hash;
mod identity;
mod layout;
mod manifests;
pub(crate) mod places;
pub(crate) mod rustc;
mod seed;
mod stamp;
pub(crate) mod toolchain;

use std::path::{Path, PathBuf};

use graft_spec::Hint;

pub(crate) use build::{build, stop as stop_build};
pub(crate) use flavour::Flavour;
pub(crate) use identity::{Identity, identity};
pub(crate) use layout::{FACADE, Layout};
pub(crate) use manifests::{session_config, shared_version};
pub(crate) use places::Places;
pub(crate) use stamp::Stamp;

/// The one platform.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A template that is whole.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Where things lie in it.
    pub(crate) layout: Layout,
    /// What it was built from.
    pub(crate) stamp: Stamp,
}

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TemplateError {
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

impl TemplateError {
    /// For `map_err` of a file operation.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl Hint for TemplateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Toolchain { .. } => "template::toolchain",
            Self::Build { .. } => "template::build",
            Self::File { .. } => "template::file",
            Self::Manifest { .. } => "template::manifest",
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
pub(crate) fn find(places: &Places) -> Option<Template> {
    match toolchain::verbose_version() {
        Ok(_) => Flavour::BEST_FIRST.into_iter().find_map(|flavour| find_flavour(places, flavour)),
        Err(_) => places
            .all_templates()
            .into_iter()
            .filter_map(|folder| open(&folder))
            .find(|template| template.stamp.sources == archive::HASH),
    }
}

/// The template of that flavour.
pub(crate) fn find_flavour(places: &Places, flavour: Flavour) -> Option<Template> {
    let identity = identity(flavour).ok()?;
    places
        .template_folders(&identity)
        .into_iter()
        .find_map(|folder| open(&folder).filter(|template| template.stamp.identity == identity))
}

/// Opens the template in a folder, if it is whole.
pub(crate) fn open(folder: &Path) -> Option<Template> {
    let layout = Layout::new(folder.to_owned());
    let stamp = Stamp::read(&layout.stamp())?;
    layout.library().exists().then_some(Template { layout, stamp })
}
