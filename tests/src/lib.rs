//! The workspace as its own tests see it: the checkout, its packages and their source files.
//!
//! End-to-end tests through real Jupyter clients are in `tests/python` and run by pytest.

mod workspace;

use std::path::{Path, PathBuf};

pub use workspace::{Package, source_files, workspace};

/// The folder of the workspace's Cargo.toml.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(1)
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
