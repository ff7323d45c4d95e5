//! What the machine must have: installed where that is ours to do, named in one line where it is not.

use std::path::{Path, PathBuf};

use crate::problem::{Problem, Result};
use crate::shell;

/// A C compiler: candle's and evcxr's dependencies, and every Rust cell, link with one.
pub(crate) fn c_compiler() -> Result<()> {
    if shell::which("cc").is_some() && shell::which("c++").is_some() {
        return Ok(());
    }
    debian_package("g++", "a C and C++ compiler")
        .and_then(|()| debian_package("libc6-dev", "the C library's headers"))
}

/// `python3 -m venv`, in Python 3.11 or newer, which the pinned packages need.
pub(crate) fn python_with_venv() -> Result<()> {
    if shell::which("python3").is_none() {
        debian_package("python3-venv", "Python 3.11 or newer")?;
    }
    let version = shell::answer(&mut shell::command(
        "python3",
        &["-c", "import sys; print(sys.version_info >= (3, 11))"],
    ));
    if version.as_deref() != Some("True") {
        return Err(Problem::new(
            "JupyterLab, as pinned here, needs python3 to be Python 3.11 or newer",
        ));
    }
    match shell::answer(&mut shell::command("python3", &["-c", "import venv, ensurepip"])) {
        Some(_) => Ok(()),
        None => debian_package("python3-venv", "Python's venv module"),
    }
}

/// The sources of the standard library: evcxr's rust-analyzer infers the types of a cell's variables with them.
pub(crate) fn rust_sources() -> Result<()> {
    if own_sources().is_some() {
        return Ok(());
    }
    println!(
        "  Rust's own sources are missing (rust-analyzer reads them); trying `rustup component add rust-src`"
    );
    let added = shell::which("rustup").is_some()
        && shell::run(&mut shell::command(
            "timeout",
            &["120", "rustup", "component", "add", "rust-src"],
        ))
        .is_ok();
    if added && own_sources().is_some() || other_sources().is_some() {
        return Ok(());
    }
    debian_package("rust-web-src", "Rust's own sources").map_err(|_| {
        Problem::new("Rust's own sources are missing").hint(
            "run `rustup component add rust-src`, or `apt-get install rust-web-src` on Debian",
        )
    })
}

/// A Chromium for the browser test.
pub(crate) fn chromium() -> Result<()> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    if names.iter().any(|name| shell::which(name).is_some()) {
        Ok(())
    } else {
        debian_package("chromium", "Chromium, in which JupyterLab is tested")
    }
}

/// Whether this process may install packages.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The compiler's own sources of the standard library.
fn own_sources() -> Option<PathBuf> {
    let sysroot = shell::answer(&mut shell::command("rustc", &["--print", "sysroot"]))?;
    Some(Path::new(&sysroot).join("lib/rustlib/src/rust/library"))
        .filter(|folder| folder.join("core").is_dir())
}

/// Sources that somebody names, or a package's, which may be those of another version: rust-analyzer infers less with them.
fn other_sources() -> Option<PathBuf> {
    let named = std::env::var_os("RUST_SRC_PATH").map(PathBuf::from);
    let packaged = std::fs::read_dir("/usr/src").into_iter().flatten().flatten();
    // rust-analyzer panics on those of Debian 12's own rust-src, 1.63.
    let is_recent = |name: &str| {
        name.strip_prefix("rustc-1.")
            .and_then(|rest| rest.split('.').next()?.parse().ok())
            .is_some_and(|minor: u32| minor >= 85)
    };
    let packaged = packaged
        .filter(|entry| is_recent(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path().join("library"));
    named.into_iter().chain(packaged).find(|folder| folder.join("core").is_dir())
}

/// Installs a Debian package when we are root on such a system, and otherwise says what is missing.
fn debian_package(package: &str, what: &str) -> Result<()> {
    let missing = || {
        Problem::new(format!("missing: {what}"))
            .hint(format!("on Debian or Ubuntu: sudo apt-get install {package}"))
    };
    if !is_root() || shell::which("apt-get").is_none() {
        return Err(missing());
    }
    println!("  missing: {what}; installing the package {package}");
    let install = || {
        let mut apt =
            shell::command("apt-get", &["install", "--yes", "--no-install-recommends", package]);
        shell::run(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A bare image has no package lists; an old one has stale ones. Both show as a failed installation.
    install()
        .or_else(|_| {
            shell::run(&mut shell::command("apt-get", &["update"])).and_then(|()| install())
        })
        .map_err(|_| missing())
}
