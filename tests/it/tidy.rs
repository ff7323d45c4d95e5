//! Checks the shape of the tree: top-level files, length of files, documentation of crates.

use std::path::Path;
use std::process::Command;

use graft_tests::{root, source_files, workspace};

/// Lines of a file, tests left out.
const LONGEST_FILE: usize = 500;

/// The files that git tracks; empty outside a git checkout.
fn files() -> Vec<String> {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output();
    let Ok(output) =
        output.map_err(drop).and_then(|it| if it.status.success() { Ok(it) } else { Err(()) })
    else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn the_top_level_contains_only_the_files_in_the_list() {
    let required =
        ["Cargo.toml", "Cargo.lock", "kernel", "crates", "notebooks", "tests", "README.md"];
    // Files that every project has, and the user guide.
    let allowed = [
        "docs",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "SECURITY.md",
        "_typos.toml",
        "deny.toml",
        "rust-toolchain.toml",
    ];
    for path in files() {
        let name = path.split('/').next().unwrap_or_default();
        assert!(
            name.starts_with('.') || required.contains(&name) || allowed.contains(&name),
            "`{name}` is not one of the top-level files: {required:?}, {allowed:?}"
        );
    }
    for name in required {
        assert!(root().join(name).exists(), "{name} is missing");
    }
}

#[test]
fn a_folder_is_named_as_its_crate() {
    for package in workspace() {
        let folder = package.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expected = match package.name.as_str() {
            "graft-kernel" => "kernel",
            "graft-tests" => "tests",
            name => name,
        };
        assert_eq!(folder, expected);
    }
}

/// The number of lines before the test module.
fn length(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).expect("a file that was just listed can be read");
    text.lines().take_while(|line| *line != "#[cfg(test)]").count()
}

#[test]
fn no_file_is_longer_than_500_lines() {
    for package in workspace() {
        let is_test = |file: &Path| {
            file.ends_with("tests.rs") || file.starts_with(package.folder.join("tests"))
        };
        for file in source_files(&package.folder).iter().filter(|file| !is_test(file)) {
            let lines = length(file);
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines: split it", file.display());
        }
    }
}

#[test]
fn half_of_the_files_have_at_most_150_lines() {
    for package in workspace() {
        let mut lengths: Vec<usize> =
            source_files(&package.folder).iter().map(|file| length(file)).collect();
        lengths.sort_unstable();
        let median = lengths[lengths.len() / 2];
        assert!(median <= 150, "the median of {} is {median}", package.name);
    }
}

/// Columns of a comment. rustfmt does not wrap comments.
const WIDEST_COMMENT: usize = 100;

#[test]
fn comments_are_wrapped_at_100_columns() {
    let mut wide = Vec::new();
    for package in workspace() {
        for file in source_files(&package.folder) {
            let text = std::fs::read_to_string(&file).unwrap();
            let is_wide = |line: &str| {
                line.trim_start().starts_with("//")
                    && line.chars().count() > WIDEST_COMMENT
                    && !line.contains("https://")
            };
            wide.extend(
                text.lines()
                    .zip(1..)
                    .filter(|(line, _)| is_wide(line))
                    .map(|(_, number)| format!("{}:{number}", file.display())),
            );
        }
    }
    assert!(wide.is_empty(), "wrap these comments:\n{}", wide.join("\n"));
}

#[test]
fn no_module_has_a_catch_all_name() {
    let forbidden =
        ["mod", "util", "utils", "common", "helper", "helpers", "base", "types", "misc"];
    for package in workspace() {
        for file in source_files(&package.folder) {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            assert!(
                !forbidden.contains(&stem.as_str()),
                "{}: name the file after what it defines",
                file.display()
            );
        }
    }
}

#[test]
fn every_crate_has_a_description_and_inherits_the_lints() {
    for package in workspace() {
        let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} does not inherit the lints of the workspace",
            package.name
        );
        assert!(
            manifest.contains("publish.workspace = true"),
            "{} could be published",
            package.name
        );
        let start = ["src/lib.rs", "src/main.rs"]
            .map(|name| package.folder.join(name))
            .into_iter()
            .find(|path| path.is_file());
        let text = std::fs::read_to_string(start.unwrap()).unwrap();
        assert!(
            text.starts_with("//! ") || text.starts_with("#!["),
            "{} has no crate documentation",
            package.name
        );
        assert!(
            text.lines().filter(|line| line.starts_with("//!")).count() >= 2,
            "{} needs a crate documentation of at least two lines",
            package.name
        );
    }
}

#[test]
fn versions_are_given_once_at_the_top() {
    for package in workspace() {
        let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        let dependencies = manifest
            .split("dependencies]")
            .skip(1)
            .flat_map(|part| part.lines().skip(1).take_while(|line| !line.starts_with('[')));
        for line in dependencies.filter(|line| line.contains('=') && !line.starts_with('#')) {
            assert!(
                line.contains("workspace = true"),
                "{}: `{line}` belongs into the workspace's Cargo.toml",
                package.name
            );
        }
    }
}

#[test]
fn the_lock_file_keeps_the_versions_that_evcxr_builds_with() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    assert!(
        lock.contains("name = \"salsa\"\nversion = \"0.28.2\""),
        "evcxr 0.22 does not build with a newer salsa"
    );
}
