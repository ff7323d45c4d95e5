//! System requirements: installed if that is possible, otherwise reported in one line.

use std::path::{Path, PathBuf};

use crate::problem::{Problem, Result};
use crate::shell;

/// A C compiler, with which candle, evcxr's dependencies and every Rust cell are linked.
pub(crate) fn c_compiler() -> Result<()> {
    if shell::which("cc").is_some() && shell::which("c++").is_some() {
        return Ok(());
    }
    debian_package("g++", "a C and C++ compiler")
        .and_then(|()| debian_package("libc6-dev", "the C library's headers"))
}

/// `python3 -m venv` in Python 3.11 or newer, as the pinned packages require.
pub(crate) fn python_with_venv() -> Result<()> {
    if shell::which("python3").is_none() {
        debian_package("python3-venv", "Python 3.11 or newer")?;
    }
    let version = shell::stdout_of(&mut shell::command(
        "python3",
        &["-c", "import sys; print(sys.version_info >= (3, 11))"],
    ));
    if version.as_deref() != Some("True") {
        return Err(Problem::new("the pinned JupyterLab needs Python 3.11 or newer as `python3`"));
    }
    match shell::stdout_of(&mut shell::command("python3", &["-c", "import venv, ensurepip"])) {
        Some(_) => Ok(()),
        None => debian_package("python3-venv", "Python's venv module"),
    }
}

/// The sources of the standard library, which rust-analyzer reads to complete code in cells.
pub(crate) fn rust_sources() -> Result<()> {
    if own_sources().is_some() {
        return Ok(());
    }
    println!(
        "  missing: the Rust sources, which rust-analyzer reads; trying `rustup component add rust-src`"
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
    debian_package("rust-web-src", "the sources of the standard library").map_err(|_| {
        Problem::new("missing: the sources of the standard library").hint(
            "run `rustup component add rust-src`, or `apt-get install rust-web-src` on Debian",
        )
    })
}

/// A Chromium for the browser tests.
pub(crate) fn chromium() -> Result<()> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    if names.iter().any(|name| shell::which(name).is_some()) {
        Ok(())
    } else {
        debian_package("chromium", "Chromium, in which JupyterLab is tested")
    }
}

/// Returns whether this process may install packages.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Returns the folder of the standard library's sources that belongs to the compiler.
fn own_sources() -> Option<PathBuf> {
    let sysroot = shell::stdout_of(&mut shell::command("rustc", &["--print", "sysroot"]))?;
    Some(Path::new(&sysroot).join("lib/rustlib/src/rust/library"))
        .filter(|folder| folder.join("core").is_dir())
}

/// Returns sources from `RUST_SRC_PATH` or a package. Their version may differ from the compiler's;
/// rust-analyzer then knows fewer names.
fn other_sources() -> Option<PathBuf> {
    let named = std::env::var_os("RUST_SRC_PATH").map(PathBuf::from);
    let packaged = std::fs::read_dir("/usr/src").into_iter().flatten().flatten();
    // rust-analyzer panics on the sources in Debian 12's package (1.63).
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

/// Installs a Debian package if this process runs as root on Debian or Ubuntu; otherwise reports
/// what is missing.
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
    // A minimal image has no package lists, and an old one outdated ones; in both cases the first
    // installation fails.
    install()
        .or_else(|_| {
            shell::run(&mut shell::command("apt-get", &["update"])).and_then(|()| install())
        })
        .map_err(|_| missing())
}
