//! The workspace as cargo sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One package of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Names of its normal dependencies: not those of tests, not those of build scripts.
    pub dependencies: Vec<String>,
}

/// Every package of the workspace, from `cargo metadata`.
///
/// # Panics
/// When cargo cannot be run or its answer is not what its documentation says.
pub fn workspace() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo)
        .args(words)
        .current_dir(crate::root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages.iter().map(package).collect()
}

/// One entry of `packages`.
fn package(entry: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let normal =
        entry["dependencies"].as_array().into_iter().flatten().filter(|it| it["kind"].is_null());
    let manifest = PathBuf::from(text(&entry["manifest_path"]));
    Package {
        name: text(&entry["name"]),
        folder: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
        dependencies: normal.map(|it| text(&it["name"])).collect(),
    }
}

/// Every Rust file below a folder.
///
/// # Panics
/// When the folder cannot be read.
pub fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.ends_with("target") {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
