//! What the end-to-end tests share: the checkout, what `cargo xtask test` has prepared, and the call of a scenario.
//!
//! A scenario is one function of `tests/python/scenarios/*.py`: it starts the installed kernel as Jupyter does and looks at what a reader would see.
//! The Rust side knows nothing of Jupyter; it gives every scenario a test of its own, so that one runner counts them all.

mod workspace;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use workspace::{Package, source_files, workspace};

/// The folder of the workspace's Cargo.toml.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The prefix that holds the test's Python environment and the installed kernel: `GRAFT_TEST_PREFIX`, or `target/graft-test`.
pub fn prefix() -> PathBuf {
    std::env::var_os("GRAFT_TEST_PREFIX").map_or_else(|| root().join("target/graft-test"), PathBuf::from)
}

/// Runs one scenario to its end.
///
/// # Panics
/// When it fails, with everything it printed; and when nothing is prepared, with the command that prepares it.
pub fn scenario(module: &str, function: &str) {
    let python = prefix().join("bin/python");
    assert!(python.is_file(), "{} is missing: run `cargo xtask test`, which prepares what end-to-end tests need", python.display());
    let script = root().join("tests/python/scenario.py");
    let mut command = Command::new(python);
    command.arg(script).args([module, function]).env("GRAFT_TEST_PREFIX", prefix()).env_remove("PYTHONPATH").stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot start {command:?}: {error}"),
    };
    let printed = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert!(output.status.success(), "{module}.{function} failed:\n{printed}");
}
