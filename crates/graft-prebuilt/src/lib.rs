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
mod compiled_crate;
mod dirs;
mod facade_names;
mod fingerprint;
mod hash;
mod installer;
mod layout;
mod manifests;
pub mod process;
mod reuse;
mod rust_part;
pub mod rustc_wrapper;
pub mod toolchain;
mod variant;

use std::path::{Path, PathBuf};

use graft_spec::Hint;

pub use build::{Intermediates, build, stop as stop_build};
pub use build_info::BuildInfo;
pub use dirs::{Dirs, make_private};
pub use facade_names::{method_names, prelude_names};
pub use fingerprint::Fingerprint;
use fingerprint::fingerprint;
pub use installer::Installer;
pub use layout::{FACADE, Layout};
pub use manifests::{
    analysis_config, session_config, session_keep, session_without_crates, shared_version,
};
pub use rust_part::RustPart;
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

impl PrebuiltLibrary {
    /// Whether the compiler in use can compile cells against this library. The version alone does
    /// not decide: two builds of a version are two compilers.
    ///
    /// # Errors
    /// Returns an error if there is no compiler.
    pub fn fits_the_compiler(&self) -> Result<bool, PrebuiltError> {
        for variant in Variant::BEST_FIRST {
            if fingerprint(variant)? == self.info.fingerprint {
                return Ok(true);
            }
        }
        Ok(false)
    }
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

/// Finds a prebuilt library for this program: that of the installed compiler, or else any library
/// of the same sources, since magics need no compiler. A variant with GPU support is preferred. If
/// rustup has the compiler of the library that is found, Rust cells use that compiler.
pub fn find(dirs: &Dirs) -> Option<PrebuiltLibrary> {
    if let Some(fitting) = find_fitting(dirs) {
        return Some(fitting);
    }
    let other = complete(dirs).find(|prebuilt| prebuilt.info.sources == archive::HASH)?;
    let has_compiler = other.info.version().is_some_and(toolchain::switch_to);
    has_compiler.then(|| find_fitting(dirs)).flatten().or(Some(other))
}

/// Finds the prebuilt library of the installed compiler; one that Rust cells can use is preferred.
pub fn find_fitting(dirs: &Dirs) -> Option<PrebuiltLibrary> {
    let found = Variant::BEST_FIRST.map(|variant| find_variant(dirs, variant));
    found.into_iter().flatten().min_by_key(|library| !library.has_rust_part())
}

/// All complete prebuilt libraries, newest first.
fn complete(dirs: &Dirs) -> impl Iterator<Item = PrebuiltLibrary> {
    dirs.all_prebuilt().into_iter().filter_map(|folder| open(&folder))
}

/// The first missing or truncated file of a library that this program was installed with, if there
/// is one: the installation was interrupted or the disk was full.
pub fn damaged_file(dirs: &Dirs) -> Option<PathBuf> {
    dirs.all_prebuilt().into_iter().find_map(|folder| {
        let layout = Layout::new(folder);
        let info = BuildInfo::read(&layout.build_info())?;
        info.damaged_file(&layout).filter(|_| info.sources == archive::HASH)
    })
}

/// Finds the prebuilt library of a variant; one that Rust cells can use is preferred.
pub fn find_variant(dirs: &Dirs, variant: Variant) -> Option<PrebuiltLibrary> {
    let fingerprint = fingerprint(variant).ok()?;
    let folders = dirs.prebuilt_folders(&fingerprint).into_iter();
    let found = folders.filter_map(|folder| open(&folder));
    found
        .filter(|prebuilt| prebuilt.info.fingerprint == fingerprint)
        .min_by_key(|library| !library.has_rust_part())
}

/// Opens the prebuilt library in `folder`; `None` if it is missing or a file that sessions need is
/// missing or truncated. Rust cells need more ([`PrebuiltLibrary::rust_part`]).
pub fn open(folder: &Path) -> Option<PrebuiltLibrary> {
    let layout = Layout::new(folder.to_owned());
    let info = BuildInfo::read(&layout.build_info())?;
    info.damaged_file(&layout).is_none().then_some(PrebuiltLibrary { layout, info })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with the files that [`BuildInfo`] lists.
    fn library(dirs: &Dirs) -> Layout {
        let layout = Layout::new(dirs.prebuilt().join("abc"));
        std::fs::create_dir_all(layout.libraries()).unwrap();
        std::fs::write(layout.library(), "machine code").unwrap();
        std::fs::write(layout.metadata(), "types").unwrap();
        std::fs::write(layout.crates(), "").unwrap();
        let fingerprint = fingerprint(Variant::Plain).unwrap();
        let rustc = "rustc 1.0.0 (aaaa 2015-05-15)".to_owned();
        let info = BuildInfo::new(fingerprint, archive::HASH, rustc, &layout).unwrap();
        info.write(&layout.build_info()).unwrap();
        layout
    }

    #[test]
    fn a_library_of_another_compiler_is_found_and_does_not_fit() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(home.path().to_owned());
        let layout = library(&dirs);
        assert!(open(layout.root()).unwrap().fits_the_compiler().unwrap());
        let mut info = BuildInfo::read(&layout.build_info()).unwrap();
        info.fingerprint = serde_json::from_str("\"another\"").unwrap();
        info.write(&layout.build_info()).unwrap();
        assert!(find_fitting(&dirs).is_none());
        let found = find(&dirs).unwrap();
        assert_eq!(found.layout, layout);
        assert!(!found.fits_the_compiler().unwrap());
    }

    #[test]
    fn a_truncated_library_is_not_used_and_its_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(home.path().to_owned());
        let layout = library(&dirs);
        assert!(damaged_file(&dirs).is_none());
        std::fs::write(layout.library(), "machine").unwrap();
        assert!(find(&dirs).is_none());
        assert_eq!(damaged_file(&dirs), Some(layout.library()));
        std::fs::remove_file(layout.library()).unwrap();
        assert_eq!(damaged_file(&dirs), Some(layout.library()));
    }

    #[test]
    fn without_the_files_for_rust_cells_the_library_is_complete_for_magics() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(home.path().to_owned());
        let layout = library(&dirs);
        assert!(find(&dirs).unwrap().has_rust_part());
        std::fs::remove_file(layout.crates()).unwrap();
        let part = find(&dirs).unwrap().rust_part();
        assert_eq!(part, RustPart::Damaged(layout.crates()));
        let (problem, _) = part.problem(&layout).unwrap();
        assert!(problem.contains("lib/crates` is missing or truncated"), "{problem}");
        std::fs::remove_file(layout.metadata()).unwrap();
        let found = find(&dirs).unwrap();
        assert_eq!(found.rust_part(), RustPart::Missing);
        assert_eq!(damaged_file(&dirs), None);
        let (problem, solution) = found.rust_part().problem(&layout).unwrap();
        assert!(problem.ends_with("`graft-kernel-rust` is not installed"), "{problem}");
        assert!(solution.contains("pip install \"graft-kernel[rust]=="), "{solution}");
    }

    #[test]
    fn files_for_rust_cells_of_another_build_are_reported() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::in_cache(home.path().to_owned());
        let layout = library(&dirs);
        let other = Layout::new(dirs.prebuilt().join("def"));
        std::fs::create_dir_all(other.libraries()).unwrap();
        std::fs::rename(layout.metadata(), other.metadata()).unwrap();
        std::fs::remove_file(layout.crates()).unwrap();
        let (problem, _) = find(&dirs).unwrap().rust_part().problem(&layout).unwrap();
        assert!(problem.contains("belongs to another build of Graft"), "{problem}");
    }
}
