//! `cargo xtask wheel`: the program, its prebuilt library and the notebooks as Python wheels.
//!
//! `graft_kernel` is all that magics need; `graft_kernel_rust` and `graft_kernel_rust_crates` add
//! what Rust cells need.

use std::path::{Path, PathBuf};

use crate::lab;
use crate::machine;
use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::shell;

/// The tag of a wheel for this platform whose glibc version is not known yet.
const ANY_GLIBC: &str = "linux_x86_64";
/// The effort of the compression: zlib's levels for a draft and for the wheel itself.
const FAST: &str = "1";
const SMALL: &str = "9";
/// The wheels with machine code, by their names in `pack_wheel.py`, and the one without.
const PARTS: [&str; 2] = ["kernel", "rust"];
const WITHOUT_CODE: &str = "crates";
/// The beginning of the tags that name a version of glibc.
const POLICY: &str = "manylinux_";

/// The parsed arguments.
#[derive(Debug, Default, PartialEq)]
struct Options {
    /// Pack the kernel installed in this prefix instead of building one.
    from: Option<PathBuf>,
    /// The folder of the wheels.
    output: Option<PathBuf>,
}

/// Builds the wheels and prints their paths and sizes.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = options(arguments)?;
    let paths = Paths::here();
    let output = options.output.unwrap_or_else(|| paths.target.join("wheels"));
    let mut phases = Phases::new(if options.from.is_some() { 1 } else { 5 });
    let prefix = match options.from {
        Some(prefix) => prefix,
        None => build(&paths, &mut phases)?,
    };
    let packed = Packed { prefix: &prefix, output: &output };
    let wheels = phases.run("the wheels", || pack(&paths, &packed))?;
    phases.summary();
    println!();
    for wheel in wheels {
        let bytes = std::fs::metadata(&wheel).map_or(0, |data| data.len());
        println!("{} ({:.1} MB)", wheel.display(), bytes as f64 / 1e6);
    }
    Ok(())
}

/// Parses the arguments.
fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--from" => &mut options.from,
            "--output" => &mut options.output,
            other => {
                return Err(Problem::new(format!("`wheel` does not take `{other}`"))
                    .hint("it takes: --output DIR, --from PREFIX"));
            }
        };
        let folder =
            words.next().ok_or_else(|| Problem::new(format!("`{word}` needs a folder")))?;
        *place = Some(PathBuf::from(folder));
    }
    Ok(options)
}

/// Builds the optimized program and installs it into a prefix of its own.
pub(crate) fn build(paths: &Paths, phases: &mut Phases) -> Result<PathBuf> {
    phases.run("system requirements", || {
        machine::c_compiler()
            .and_then(|()| machine::python_with_venv())
            .and_then(|()| machine::rust_sources())
    })?;
    phases.run("the program, optimized (takes minutes the first time)", || {
        let words =
            ["build", "--release", "--locked", "--package", "graft-kernel", "--bin", "graft"];
        shell::run(shell::command("cargo", &words).current_dir(&paths.root))
    })?;
    let prefix = paths.wheel().join("prefix");
    phases.run("the prebuilt library", || {
        // Files of an earlier build must not get into the wheel.
        match std::fs::remove_dir_all(&prefix) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Problem::file("remove", &prefix, &error));
            }
            _ => {}
        }
        lab::install(paths, &paths.target.join("release/graft"), &prefix)
    })?;
    phases.run("auditwheel", || {
        Environment::ready(&paths.wheel().join("python"), &paths.requirements("wheel")).map(drop)
    })?;
    Ok(prefix)
}

/// What is packed, and where to.
pub(crate) struct Packed<'a> {
    /// The folder in which the kernel is installed.
    pub(crate) prefix: &'a Path,
    /// The folder of the wheels.
    pub(crate) output: &'a Path,
}

/// Packs the wheels, each with the platform tag that is true for its symbols. A wheel without
/// machine code fits where the kernel does.
pub(crate) fn pack(paths: &Paths, packed: &Packed<'_>) -> Result<Vec<PathBuf>> {
    let python = paths.wheel().join("python");
    let is_audited = python.join("bin/auditwheel").exists();
    if !is_audited {
        println!("  the tag is {ANY_GLIBC}: auditwheel is not installed");
    }
    let mut wheels = Vec::new();
    let mut kernel = None;
    for part in PARTS {
        let tag = match is_audited {
            true => audited_tag(paths, packed, part)?,
            false => ANY_GLIBC.to_owned(),
        };
        wheels.push(write(paths, packed, part, (&tag, SMALL))?);
        kernel.get_or_insert(tag);
    }
    let tag = kernel.as_deref().unwrap_or(ANY_GLIBC);
    wheels.push(write(paths, packed, WITHOUT_CODE, (tag, SMALL))?);
    Ok(wheels)
}

/// The tag that auditwheel gives a draft of a wheel.
fn audited_tag(paths: &Paths, packed: &Packed<'_>, part: &str) -> Result<String> {
    let draft = write(paths, packed, part, (ANY_GLIBC, FAST))?;
    let mut audit = Environment::at(&paths.wheel().join("python")).python();
    audit.arg(paths.root.join("crates/xtask/python/glibc_tag.py")).arg(&draft);
    let tag =
        shell::stdout_of(&mut audit).filter(|tag| tag.starts_with(POLICY)).ok_or_else(|| {
            Problem::new(format!("auditwheel accepts no tag for {}", draft.display()))
        })?;
    println!("  auditwheel: the symbols of the wheel `{part}` need {tag}");
    std::fs::remove_file(&draft).map_err(|error| Problem::file("remove", &draft, &error))?;
    Ok(tag)
}

/// Writes a wheel with this platform tag, compressed with this effort.
fn write(
    paths: &Paths,
    packed: &Packed<'_>,
    part: &str,
    (tag, level): (&str, &str),
) -> Result<PathBuf> {
    let mut pack = shell::command("python3", &[]);
    pack.arg(paths.root.join("crates/xtask/python/pack_wheel.py"))
        .args([&paths.root, packed.prefix, packed.output])
        .args([part, tag, &commit_time(paths), level]);
    let written = shell::stdout_of(&mut pack).map(PathBuf::from);
    written.filter(|wheel| wheel.is_file()).ok_or_else(|| {
        Problem::new(format!("cannot pack `{}` into a wheel", packed.prefix.display()))
            .hint(format!("to see the reason, run `{}`", shell::shown(&pack)))
    })
}

/// The time of the commit in seconds, or `SOURCE_DATE_EPOCH`; 0 outside a git checkout.
pub(crate) fn commit_time(paths: &Paths) -> String {
    std::env::var("SOURCE_DATE_EPOCH").ok().unwrap_or_else(|| {
        let mut git = shell::command("git", &["log", "-1", "--format=%ct"]);
        shell::stdout_of(git.current_dir(&paths.root)).unwrap_or_else(|| "0".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed_and_unknown_ones_rejected() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let parsed = options(&words("--from /p --output w")).unwrap();
        assert_eq!(parsed, Options { from: Some("/p".into()), output: Some("w".into()) });
        assert!(options(&words("--from")).is_err());
        assert!(options(&words("--upload")).unwrap_err().to_string().contains("--output DIR"));
    }
}
