//! Names the commit in the version: `0.1.0 (1a2b3c4d5 2026-11-30)`, as rustc does.

use std::path::Path;
use std::process::Command;

/// The commit of a source archive, which git writes into this file; see `.gitattributes`.
const ARCHIVED: &str = "commit.txt";
/// The number of digits of the commit.
const DIGITS: usize = 9;

fn main() {
    let version = env!("CARGO_PKG_VERSION");
    let commit = from_git().or_else(archived);
    let full = commit.map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=GRAFT_VERSION={full}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ARCHIVED}");
}

/// The commit of the checkout and its date.
fn from_git() -> Option<String> {
    // The sources may be unpacked in a checkout of another project.
    let root = git(&["rev-parse", "--show-toplevel"])?;
    if !Path::new(&root).join("kernel/build.rs").exists() {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        // A missing file would make cargo run this script for every build.
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["log", "-1", &format!("--abbrev={DIGITS}"), "--format=%h %cs"])
}

/// The commit in a source archive.
fn archived() -> Option<String> {
    let text = std::fs::read_to_string(ARCHIVED).ok()?;
    let (commit, date) = text.trim().split_once(' ')?;
    let is_commit = commit.len() >= DIGITS && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| format!("{} {date}", &commit[..DIGITS]))
}

/// The output of git in the folder of this package; `None` if git is missing or fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
