//! The files of a prebuilt library that only Rust cells need: crate metadata and procedural macros.
//!
//! They are larger than all other files together, so the wheel `graft-kernel` does not contain
//! them. The wheels `graft-kernel-rust` and `graft-kernel-rust-crates` add them to the same folder.

use std::path::{Path, PathBuf};

use crate::installer::Installer;
use crate::{Layout, PrebuiltLibrary};

/// The state of these files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RustPart {
    /// Rust cells can be compiled.
    Complete,
    /// None of the files is present: the wheel `graft-kernel-rust` is not installed.
    Missing,
    /// This file is missing or truncated.
    Damaged(PathBuf),
}

impl RustPart {
    /// The problem of an incomplete part and the command that solves it; `None` for a complete one.
    pub fn problem(&self, layout: &Layout) -> Option<(String, String)> {
        match self {
            Self::Complete => None,
            Self::Missing => Some(missing(layout)),
            Self::Damaged(file) => {
                let problem = format!("`{}` is missing or truncated", file.display());
                Some((problem, Installer::of_file(file).repair(file)))
            }
        }
    }
}

/// The problem and its solution if none of the files is present.
fn missing(layout: &Layout) -> (String, String) {
    let problem = match other_build(layout) {
        Some(folder) => format!(
            "the installed package `graft-kernel-rust` belongs to another build of Graft ({})",
            folder.display()
        ),
        None => "the package `graft-kernel-rust` is not installed".to_owned(),
    };
    let version = env!("CARGO_PKG_VERSION");
    let solution = format!(
        "run `pip install \"graft-kernel[rust]=={version}\"`, or with a file `pip install --force-reinstall --no-deps graft_kernel_rust*-{version}-*.whl`; or build these files from the sources, which takes minutes: `graft build`"
    );
    (problem, solution)
}

/// The folder of another build that has only files for Rust cells.
fn other_build(layout: &Layout) -> Option<PathBuf> {
    let entries = std::fs::read_dir(layout.root().parent()?).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|folder| {
        let other = Layout::new(folder.clone());
        other.metadata().exists() && !other.build_info().exists()
    })
}

/// Whether only Rust cells need a file, by its path in [`Layout::libraries`].
pub(crate) fn contains(file: &Path) -> bool {
    let name = file.to_string_lossy();
    name != "libgraft.so" && !name.starts_with("libstd-")
}

impl PrebuiltLibrary {
    /// The state of the files that only Rust cells need.
    pub fn rust_part(&self) -> RustPart {
        self.info.rust_part(&self.layout)
    }

    /// Whether Rust cells can be compiled against this library.
    pub fn has_rust_part(&self) -> bool {
        self.rust_part() == RustPart::Complete
    }
}
