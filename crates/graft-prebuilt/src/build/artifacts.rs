//! The compiled crates that cargo reports, copied into the folder of the library.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{copy_atomically, manifests};
use crate::compiled_crate::without_code;
use crate::{FACADE, Layout, PrebuiltError, TARGET, archive};

/// cargo's message about a compiled crate.
#[derive(serde::Deserialize)]
pub(super) struct Artifact {
    target: ArtifactTarget,
    filenames: Vec<PathBuf>,
}

/// The target of the crate.
#[derive(serde::Deserialize)]
struct ArtifactTarget {
    name: String,
    kind: Vec<String>,
}

/// The part of the library that a compiled crate becomes.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// The facade itself.
    Facade(&'a Path),
    /// A crate inside the facade.
    Dependency(&'a Path),
    /// A procedural macro.
    Macro(&'a Path),
    /// Not used after the build: build scripts, and crates for procedural macros.
    None,
}

/// Reads cargo's messages; those that are not about compiled crates are ignored.
pub(super) fn parse(messages: &str) -> Vec<Artifact> {
    messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Copies the facade, the crates inside it without their machine code, and the procedural macros.
pub(super) fn collect(artifacts: &[Artifact], layout: &Layout) -> Result<(), PrebuiltError> {
    let mut facade = None;
    for folder in layout.dependency_folders() {
        // An interrupted build may have left crates of other versions.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(PrebuiltError::file(&folder))?;
    }
    for artifact in artifacts {
        match artifact.part() {
            Part::Facade(file) => facade = Some(file.to_owned()),
            Part::Dependency(file) => {
                let rlib = std::fs::read(file).map_err(PrebuiltError::file(file))?;
                let metadata = without_code(&rlib).ok_or_else(|| unusable(file))?;
                let copy = layout.dependencies().join(file.file_name().unwrap_or_default());
                std::fs::write(&copy, metadata).map_err(PrebuiltError::file(&copy))?;
            }
            Part::Macro(file) => {
                let copy = layout.macros().join(file.file_name().unwrap_or_default());
                copy_atomically(file, &copy)?;
                strip(&copy);
            }
            Part::None => {}
        }
    }
    archive::write_if_changed(&layout.crates(), shown(artifacts).as_bytes())?;
    let facade = facade
        .ok_or_else(|| PrebuiltError::Build { message: "cargo reported no library".to_owned() })?;
    copy_atomically(&facade, &layout.library())?;
    strip(&layout.library());
    Ok(())
}

/// Removes the symbols that only debuggers use. Without the program `strip`, the library is larger.
fn strip(file: &Path) {
    let _ = Command::new("strip").arg("--strip-unneeded").arg(file).output();
}

/// A line `name=file` for each crate that cells can use without a `:dep`.
fn shown(artifacts: &[Artifact]) -> String {
    let names = manifests::SHOWN.map(|name| name.replace('-', "_"));
    let mut lines = String::new();
    for artifact in artifacts.iter().filter(|artifact| names.contains(&artifact.target.name)) {
        if let Part::Dependency(file) = artifact.part() {
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            lines.push_str(&format!("{}={file}\n", artifact.target.name));
        }
    }
    lines
}

fn unusable(file: &Path) -> PrebuiltError {
    PrebuiltError::Build { message: format!("no metadata in {}", file.display()) }
}

impl Artifact {
    fn part(&self) -> Part<'_> {
        let with_extension = |extension: &str| {
            self.filenames
                .iter()
                .map(PathBuf::as_path)
                .find(|file| file.extension().is_some_and(|it| it == extension))
        };
        if self.target.kind.iter().any(|kind| kind == "proc-macro") {
            return with_extension("so").map_or(Part::None, Part::Macro);
        }
        if self.target.name == FACADE {
            return with_extension("so").map_or(Part::None, Part::Facade);
        }
        match with_extension("rlib") {
            Some(file) if file.components().any(|part| part.as_os_str() == TARGET) => {
                Part::Dependency(file)
            }
            _ => Part::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str, kind: &str, files: &[&str]) -> Artifact {
        let target = ArtifactTarget { name: name.to_owned(), kind: vec![kind.to_owned()] };
        Artifact { target, filenames: files.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn crates_of_the_target_and_procedural_macros_are_part_of_the_library() {
        let compiled = format!("/t/{TARGET}/debug/deps");
        let candle = [
            format!("{compiled}/libcandle_core-1.rlib"),
            format!("{compiled}/libcandle_core-1.rmeta"),
        ];
        let candle = artifact("candle_core", "lib", &candle.each_ref().map(String::as_str));
        assert_eq!(candle.part(), Part::Dependency(Path::new(&candle.filenames[0])));
        let host = artifact("serde_json", "lib", &["/t/debug/deps/libserde_json-2.rlib"]);
        assert_eq!(host.part(), Part::None);
        let derive =
            artifact("serde_derive", "proc-macro", &["/t/debug/deps/libserde_derive-3.so"]);
        assert_eq!(derive.part(), Part::Macro(Path::new("/t/debug/deps/libserde_derive-3.so")));
        let facade = artifact("graft", "dylib", &["/t/x/libgraft.so"]);
        assert_eq!(facade.part(), Part::Facade(Path::new("/t/x/libgraft.so")));
        assert_eq!(shown(&[host, candle, derive]), "candle_core=libcandle_core-1.rlib\n");
    }

    #[test]
    fn only_messages_about_compiled_crates_are_read() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"a","kind":["lib"]},"filenames":["/a"]}"#;
        let messages =
            format!("{{\"reason\":\"build-finished\",\"success\":true}}\nno json\n{message}\n");
        assert_eq!(parse(&messages).len(), 1);
    }
}
