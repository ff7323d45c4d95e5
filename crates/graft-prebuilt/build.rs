//! Packs the sources of the facade and of the crates it depends on into the program, so that the
//! checkout can be deleted after the installation, and hashes them, so that a prebuilt library of
//! other sources is not used.

use std::fmt::Write;
use std::path::{Path, PathBuf};

#[path = "src/hash.rs"]
mod hash;

/// The facade and its crates.
const CRATES: [&str; 13] = [
    "graft-font",
    "graft-random",
    "graft-spec",
    "graft-chat",
    "graft-protocol",
    "graft-data",
    "graft-metrics",
    "graft-nn",
    "graft-models",
    "graft-peft",
    "graft-train",
    "graft-session",
    "graft",
];
/// The packed files and folders of each crate.
const PARTS: [&str; 4] = ["Cargo.toml", "build.rs", "src", "assets"];

fn main() {
    let workspace =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("invariant: cargo sets it"))
            .join("../..");
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock")];
    for name in CRATES {
        for part in PARTS {
            collect(&workspace, &Path::new("crates").join(name).join(part), &mut files);
        }
    }
    files.sort();
    let mut sum = hash::Hash::new();
    let mut code = String::from("pub(crate) static FILES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let full = workspace.join(file);
        println!("cargo::rerun-if-changed={}", full.display());
        let Ok(content) = std::fs::read(&full) else { continue };

        sum.add(file.to_string_lossy().as_bytes());
        sum.add(&content);
        let full = full.canonicalize().unwrap_or(full);
        let _ = writeln!(
            code,
            "    ({:?}, include_bytes!({:?})),",
            file.to_string_lossy(),
            full.to_string_lossy()
        );
    }
    code.push_str("];\n");
    let _ = writeln!(code, "pub(crate) const HASH: &str = {:?};", sum.text());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("invariant: cargo sets it"))
        .join("archive.rs");
    std::fs::write(out, code).expect("invariant: cargo's output folder is writable");
}

/// Collects all files at or under `part`. cargo watches folders too, so that new files are
/// detected.
fn collect(workspace: &Path, part: &Path, files: &mut Vec<PathBuf>) {
    let full = workspace.join(part);
    if full.is_dir() {
        println!("cargo::rerun-if-changed={}", full.display());
        let Ok(entries) = std::fs::read_dir(&full) else { return };
        for entry in entries.flatten() {
            collect(workspace, &part.join(entry.file_name()), files);
        }
    } else if full.is_file() {
        files.push(part.to_owned());
    }
}
