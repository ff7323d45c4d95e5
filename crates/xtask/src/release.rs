//! `cargo xtask release`: the files of a release. Nothing is published.

use std::path::{Path, PathBuf};

use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::{Problem, Result};
use crate::shell;
use crate::wheel::{self, Packed};

/// The name of the list of checksums.
const CHECKSUMS: &str = "SHA256SUMS";

/// Builds the wheels, the source archive, the bill of materials, the notes and the checksums, and
/// compares them with those of the previous run.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::refuse_unknown("release", arguments, &[])?;
    let paths = Paths::here();
    let version = env!("CARGO_PKG_VERSION");
    let output = paths.target.join("release-files").join(version);
    let previous = output.with_file_name(format!("{version}-previous"));
    clean_checkout(&paths)?;
    set_aside(&output, &previous)?;
    std::fs::create_dir_all(&output).map_err(|error| Problem::file("create", &output, &error))?;
    let mut phases = Phases::new(10);
    let prefix = wheel::build(&paths, &mut phases)?;
    let packed = Packed { prefix: &prefix, output: &output };
    phases.run("the wheels", || wheel::pack(&paths, &packed).map(drop))?;
    let stem = format!("graft-{version}");
    phases.run("the source archive", || source_archive(&paths, &output, &stem))?;
    phases.run("the bill of materials", || bill_of_materials(&paths, &output, &stem))?;
    phases.run("the notes", || notes(&paths, &output, version))?;
    phases.run("the checksums", || checksums(&output))?;
    phases.run("the previous run", || compare(&paths, &previous, &output))?;
    phases.summary();
    println!("\n{}", output.display());
    Ok(())
}

/// Keeps the files of the last complete run for the comparison; removes those of an incomplete one.
fn set_aside(output: &Path, previous: &Path) -> Result<()> {
    let remove = |folder: &Path| match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Problem::file("remove", folder, &error))
        }
        _ => Ok(()),
    };
    if !output.join(CHECKSUMS).exists() {
        return remove(output);
    }
    remove(previous)?;
    std::fs::rename(output, previous).map_err(|error| Problem::file("rename", output, &error))
}

/// Names what differs from the previous run, because two runs of a commit in the same folder should
/// give the same bytes.
fn compare(paths: &Paths, previous: &Path, output: &Path) -> Result<()> {
    if !previous.join(CHECKSUMS).exists() {
        println!("  there is none; a second run compares its files with these");
        return Ok(());
    }
    shell::run(python_script(paths, "compare_releases.py").args([previous, output]))
}

/// Refuses a checkout with changes, which the commit in the version would not name.
fn clean_checkout(paths: &Paths) -> Result<()> {
    let mut git = shell::command("git", &["status", "--porcelain"]);
    match shell::stdout_of(git.current_dir(&paths.root)) {
        Some(changes) if changes.is_empty() => Ok(()),
        Some(changes) => Err(Problem::new(format!(
            "the checkout has {} files that are not committed, such as `{}`",
            changes.lines().count(),
            changes.lines().next().unwrap_or_default().trim()
        ))
        .hint("commit or stash them, then run `cargo xtask release` again")),
        None => Err(Problem::new("a release is built from a git checkout")
            .hint("clone the repository instead of unpacking an archive of its sources")),
    }
}

/// Writes all files of the commit as a `tar.gz` whose bytes depend only on the commit.
fn source_archive(paths: &Paths, output: &Path, stem: &str) -> Result<()> {
    let archive = output.join(format!("{stem}.tar.gz"));
    let prefix = format!("--prefix={stem}/");
    let mut git = shell::command("git", &["-c", "tar.tar.gz.command=gzip -9 -n", "archive"]);
    git.args(["--format=tar.gz", &prefix, "HEAD", "--output"]).arg(archive);
    shell::run(git.current_dir(&paths.root))
}

/// Writes the crates in the program and in the library, from `cargo metadata`, in CycloneDX's
/// format.
fn bill_of_materials(paths: &Paths, output: &Path, stem: &str) -> Result<()> {
    let mut script = python_script(paths, "bill_of_materials.py");
    script.arg(&paths.root).arg(output.join(format!("{stem}.cdx.json")));
    shell::run(script.arg(wheel::commit_time(paths)))
}

/// Writes the section of the changelog for this version.
fn notes(paths: &Paths, output: &Path, version: &str) -> Result<()> {
    let changelog = paths.root.join("CHANGELOG.md");
    let text = std::fs::read_to_string(&changelog)
        .map_err(|error| Problem::file("read", &changelog, &error))?;
    let section = section(&text, "Unreleased")
        .filter(|section| !section.is_empty())
        .or_else(|| self::section(&text, version))
        .ok_or_else(|| {
            Problem::new(format!("CHANGELOG.md has no section `Unreleased` or `{version}`"))
        })?;
    let notes = output.join("NOTES.md");
    std::fs::write(&notes, format!("# Graft {version}\n\n{section}\n"))
        .map_err(|error| Problem::file("write", &notes, &error))
}

/// The text below the heading of a version, such as `## 0.1.0 - 2026-11-29`.
fn section(changelog: &str, version: &str) -> Option<String> {
    let is_heading = |line: &&str| {
        line.strip_prefix("## ").is_some_and(|title| title.split(' ').next() == Some(version))
    };
    let mut lines = changelog.lines().skip_while(|line| !is_heading(line));
    lines.next()?;
    let body: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    Some(body.join("\n").trim().to_owned())
}

/// Writes the SHA-256 of each file, as `sha256sum --check` reads it.
fn checksums(output: &Path) -> Result<()> {
    let entries =
        std::fs::read_dir(output).map_err(|error| Problem::file("read", output, &error))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let mut sha256sum = shell::command("sha256sum", &["--"]);
    let sums = shell::stdout_of(sha256sum.args(&names).current_dir(output))
        .ok_or_else(|| Problem::new("cannot run `sha256sum`"))?;
    let file = output.join(CHECKSUMS);
    std::fs::write(&file, sums + "\n").map_err(|error| Problem::file("write", &file, &error))
}

/// A command that runs one of the task runner's own Python scripts.
fn python_script(paths: &Paths, name: &str) -> std::process::Command {
    let script: PathBuf = paths.root.join("crates/xtask/python").join(name);
    let mut python = shell::command("python3", &[]);
    python.arg(script);
    python
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notes_are_the_section_of_the_version() {
        let log = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n- A wheel.\n\n## 0.1.0\n\nFirst.\n";
        assert_eq!(section(log, "Unreleased").as_deref(), Some(""));
        assert_eq!(section(log, "0.2.0").as_deref(), Some("### Added\n\n- A wheel."));
        assert_eq!(section(log, "0.1.0").as_deref(), Some("First."));
        assert_eq!(section(log, "0.1"), None);
    }

    #[test]
    fn the_checksums_can_be_checked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.whl"), "a").unwrap();
        checksums(folder.path()).unwrap();
        let mut check = shell::command("sha256sum", &["--check", "SHA256SUMS"]);
        assert_eq!(
            shell::stdout_of(check.current_dir(folder.path())).as_deref(),
            Some("a.whl: OK")
        );
    }

    #[test]
    fn the_files_of_a_complete_run_are_set_aside_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let (output, previous) = (folder.path().join("1"), folder.path().join("1-previous"));
        let write = |content: &str| {
            std::fs::create_dir_all(&output).unwrap();
            std::fs::write(output.join("a.json"), content).unwrap();
        };
        write("first");
        set_aside(&output, &previous).unwrap();
        assert!(!output.exists() && !previous.exists(), "the run was incomplete");
        write("second");
        checksums(&output).unwrap();
        set_aside(&output, &previous).unwrap();
        assert!(!output.exists() && previous.join("a.json").exists());
        write("third");
        checksums(&output).unwrap();
        let mut script = python_script(&Paths::here(), "compare_releases.py");
        let said = shell::stdout_of(script.args([&previous, &output])).unwrap();
        assert_eq!(said, "DIFFERS from the previous run: a.json");
    }
}
