//! Compiled dependencies of the tensor crates, copied for the build of the prebuilt library.
//!
//! `graft install` compiles the library in a folder of its own. Cargo names what it compiles by
//! version, features, profile and flags, and all of these are equal for the tests of the tensor
//! crates ([`Group::Tensors`]): the library's build takes the files that are copied here and
//! compiles only Graft's own crates. The features are equal because `crates/graft/Cargo.toml` names
//! those that tests and tools add, and the profile because `[profile.dev]` in `Cargo.toml` agrees
//! with `PROFILE` in `crates/graft-prebuilt/src/manifests.rs`.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, FileTimes};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::groups::{Group, TARGET};
use crate::paths::Paths;
use crate::problem::{Problem, Result};
use crate::shell;

/// The folders of one cargo profile that hold compiled crates.
const KINDS: [&str; 3] = [".fingerprint", "build", "deps"];

/// Digits of the hash in cargo's file names.
const HASH_DIGITS: usize = 16;

/// Copies the compiled dependencies of the tensor crates to where the installation for the tests
/// builds its library.
pub(crate) fn copy_dependencies(paths: &Paths) -> Result<()> {
    let words = ["build", "--all-targets", "--quiet", "--message-format", "json"];
    let messages = shell::stdout_of(&mut Group::Tensors.cargo(paths, &words))
        .ok_or_else(|| Problem::new("cargo does not list the compiled tensor crates"))?;
    let hashes: HashSet<&str> = messages.lines().flat_map(hashes_of_dependency).collect();
    let to = paths.test().join("share/graft/templates/target");
    let mut copied = 0;
    for profile in ["debug".to_owned(), format!("{TARGET}/debug")] {
        for kind in KINDS {
            let folder = Path::new(&profile).join(kind);
            let (from, to) = (paths.target.join(&folder), to.join(&folder));
            copied += copy_units(&from, &to, &hashes)
                .map_err(|error| Problem::file("copy compiled crates to", &to, &error))?;
        }
    }
    println!("  copied {copied} files of {} compiled units", hashes.len());
    Ok(())
}

/// Returns the third-party crate in a progress line of `graft install` that reports its
/// compilation.
pub(crate) fn compiled_dependency(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix("Compiling ")?.split(' ').next()?;
    (name != "graft" && !name.starts_with("graft-")).then_some(name)
}

/// Fails when `compiled`, the dependencies that the library's build compiled, contains candle.
pub(crate) fn check(compiled: &[String]) -> Result<()> {
    if compiled.iter().any(|name| name == "candle-core") {
        return Err(Problem::new(format!(
            "the prebuilt library's build compiled {} dependencies that the tests had compiled already",
            compiled.len()
        ))
        .hint(format!(
            "a feature, a flag or the profile differs, probably of {}: see crates/xtask/src/reuse.rs",
            compiled.first().map_or("candle-core", String::as_str)
        )));
    }
    Ok(())
}

/// Returns the hashes in the file names of one of cargo's JSON messages; empty for a crate of the
/// workspace.
fn hashes_of_dependency(message: &str) -> Vec<&str> {
    if !message.contains("\"package_id\":\"registry+") {
        return Vec::new();
    }
    let list = |start: &str, end: char| {
        message.split_once(start).and_then(|(_, rest)| rest.split(end).next()).unwrap_or_default()
    };
    let files = list("\"filenames\":[", ']').split(',').chain([list("\"out_dir\":\"", '"')]);
    files.filter_map(|file| file.trim_matches('"').split('/').rev().find_map(hash)).collect()
}

/// Returns the hash in a name such as `libhalf-0123456789abcdef.rlib`.
fn hash(name: &str) -> Option<&str> {
    let digits = name.rsplit_once('-')?.1.split('.').next()?;
    let is_hash =
        digits.len() == HASH_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then_some(digits)
}

/// Copies the entries with one of these hashes; returns the number of files that were missing or
/// outdated.
fn copy_units(from: &Path, to: &Path, hashes: &HashSet<&str>) -> io::Result<usize> {
    let mut copied = 0;
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        if name.to_str().and_then(hash).is_some_and(|hash| hashes.contains(hash)) {
            copied += copy_newer(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(copied)
}

/// Copies a file or folder and preserves its timestamps, which cargo uses to detect changes.
fn copy_newer(from: &Path, to: &Path) -> io::Result<usize> {
    if from.is_dir() {
        let entries = std::fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
        let names = entries.iter().map(std::fs::DirEntry::file_name);
        return names.map(|name| copy_newer(&from.join(&name), &to.join(&name))).sum();
    }
    let modified = std::fs::metadata(from)?.modified()?;
    if std::fs::metadata(to).and_then(|there| there.modified()).is_ok_and(|old| old >= modified) {
        return Ok(0);
    }
    if let Some(folder) = to.parent() {
        // Graft rejects a folder that other users can write to.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::copy(from, to)?;
    File::options().write(true).open(to)?.set_times(FileTimes::new().set_modified(modified))?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_files_of_each_dependency() {
        let library = r#"{"reason":"compiler-artifact","package_id":"registry+https://github.com/rust-lang/crates.io-index#half@2.7.1","target":{"name":"half"},"filenames":["/t/debug/deps/libhalf-0123456789abcdef.rlib","/t/debug/deps/libhalf-0123456789abcdef.rmeta"],"fresh":true}"#;
        assert_eq!(hashes_of_dependency(library), ["0123456789abcdef"; 2]);
        let script = r#"{"reason":"build-script-executed","package_id":"registry+https://github.com/rust-lang/crates.io-index#half@2.7.1","out_dir":"/t/debug/build/half-fedcba9876543210/out"}"#;
        assert_eq!(hashes_of_dependency(script), ["fedcba9876543210"]);
        let own = library.replace("registry+https://github.com/rust-lang", "path+file:///");
        assert!(hashes_of_dependency(&own).is_empty());
        assert_eq!((hash("graft-test"), hash("build-script-build")), (None, None));
    }

    #[test]
    fn a_unit_is_copied_with_its_time_and_once() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        let unit = "half-0123456789abcdef";
        std::fs::create_dir_all(from.join(unit).join("out")).unwrap();
        std::fs::write(from.join(unit).join("out/x"), "x").unwrap();
        std::fs::write(from.join("libother-aaaaaaaaaaaaaaaa.rlib"), "").unwrap();
        let hashes = HashSet::from(["0123456789abcdef"]);
        assert_eq!(copy_units(&from, &to, &hashes).unwrap(), 1);
        assert_eq!(std::fs::read_dir(&to).unwrap().count(), 1);
        let time = |folder: &Path| {
            std::fs::metadata(folder.join(unit).join("out/x")).unwrap().modified().unwrap()
        };
        assert_eq!(time(&from), time(&to));
        assert_eq!(copy_units(&from, &to, &hashes).unwrap(), 0);
    }

    #[test]
    fn recompiling_candle_fails_and_workspace_crates_do_not_count() {
        let lines = ["  Compiling graft v0.1.0 (3)", "  Compiling graft-nn v0.1.0 (2)", "  ready"];
        assert!(lines.iter().all(|line| compiled_dependency(line).is_none()));
        assert_eq!(compiled_dependency("  Compiling half v2.7.1 (1)"), Some("half"));
        let words = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert!(check(&words(&["half"])).is_ok());
        let problem = check(&words(&["half", "candle-core"])).unwrap_err().to_string();
        assert!(problem.contains("2 dependencies") && problem.contains("of half"), "{problem}");
    }
}
