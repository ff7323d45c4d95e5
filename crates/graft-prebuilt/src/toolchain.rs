//! The installed Rust toolchain: compiler, cargo, libstd and the sources for rust-analyzer.

mod resolve;

use std::path::{Path, PathBuf};

use crate::PrebuiltError;
pub use resolve::{COMPILER_VARIABLES, TOOLCHAIN_VARIABLE, leave_choice, switch_to, tools};

/// How to install the sources of the standard library.
pub const SOURCES_HINT: &str = "`rustup component add rust-src`, or for Debian's rustc `sudo apt install rust-src` (`rust-web-src` for `rustc-web`), which installs the same version";

/// The command that installs the compiler of a prebuilt library, with what Rust cells need.
pub fn install_command(version: &str) -> String {
    format!("rustup toolchain install {version} --profile minimal --component rust-src")
}

/// The output of `rustc -vV`.
///
/// # Errors
/// Returns an error if rustc is missing or fails.
pub fn verbose_version() -> Result<String, PrebuiltError> {
    rustc(&["-vV"])
}

/// The output of `cargo --version`; `None` if cargo does not run.
pub fn cargo_version() -> Option<String> {
    let output = tools()
        .ok()?
        .cargo(Path::new("/"))
        .arg("--version")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The folder with the libraries of the target.
///
/// # Errors
/// Returns an error if rustc is missing or fails.
pub fn library_folder() -> Result<PathBuf, PrebuiltError> {
    Ok(PathBuf::from(rustc(&["--print", "target-libdir"])?.trim()))
}

/// The shared libstd of the compiler.
pub(crate) fn shared_std() -> Result<PathBuf, PrebuiltError> {
    let folder = library_folder()?;
    let entries = std::fs::read_dir(&folder).map_err(PrebuiltError::file(&folder))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            name.starts_with("libstd-") && name.ends_with(".so")
        })
        .ok_or_else(|| PrebuiltError::Build {
            message: format!("no libstd-*.so in {}", folder.display()),
        })
}

/// The sources of the standard library, which rust-analyzer needs for completion: those of the
/// toolchain, `RUST_SRC_PATH`, or those of Debian's packages `rust-src` and `rust-web-src`.
pub fn standard_sources() -> Option<PathBuf> {
    let own = rustc(&["--print", "sysroot"])
        .ok()
        .map(|text| Path::new(text.trim()).join("lib/rustlib/src/rust/library"));
    let named = std::env::var_os("RUST_SRC_PATH").map(PathBuf::from);
    let mut folders: Vec<PathBuf> = own.into_iter().chain(named).collect();
    folders.extend(debian_sources(Path::new("/usr/src")));
    folders.push(PathBuf::from("/usr/lib/rustlib/src/rust/library"));
    // Sessions have an empty library for evcxr's rust-analyzer.
    let is_library = |folder: &PathBuf| {
        std::fs::metadata(folder.join("core/src/lib.rs")).is_ok_and(|file| file.len() > 0)
    };
    folders.into_iter().find(is_library)
}

/// The versions of sources and compiler, such as `1.85` and `1.95`, if they differ. Completion then
/// shows the names of another standard library.
pub fn sources_of_another_version(sources: &Path) -> Option<(String, String)> {
    let version = rustc(&["--version"]).ok()?;
    let compiler = version.split_whitespace().nth(1).map(series)?;
    let named = sources
        .ancestors()
        .find_map(|folder| folder.file_name()?.to_str()?.strip_prefix("rustc-").map(series))?;
    (named != compiler).then_some((named, compiler))
}

/// Major and minor version: `1.85` for `1.85.0`.
fn series(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// The oldest minor version of the standard library that evcxr's rust-analyzer supports (edition
/// 2024). It panics on version 1.63.
const MIN_SOURCES_VERSION: u32 = 85;

/// The folders `/usr/src/rustc-1.*/library`, newest version first.
fn debian_sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let minor = |path: &Path| {
        path.file_name()?.to_str()?.strip_prefix("rustc-1.")?.split('.').next()?.parse::<u32>().ok()
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((minor(&path).filter(|minor| *minor >= MIN_SOURCES_VERSION)?, path))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path.join("library")).collect()
}

fn rustc(arguments: &[&str]) -> Result<String, PrebuiltError> {
    let output = tools()?
        .rustc()
        .args(arguments)
        .output()
        .map_err(|source| PrebuiltError::Toolchain { tool: "rustc".to_owned(), source })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(PrebuiltError::Build {
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_debian_sources_come_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["rustc-1.85.0", "rustc-1.100.0", "rustc-1.96.0", "rustc-1.63.0", "linux-headers"]
        {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found = debian_sources(folder.path());
        let old = sources_of_another_version(&folder.path().join("rustc-1.63.0/library"))
            .map(|(sources, _)| sources);
        assert_eq!(old.as_deref(), Some("1.63"));
        assert_eq!(
            sources_of_another_version(Path::new("/opt/toolchain/lib/rustlib/src/rust/library")),
            None,
            "the compiler's own"
        );
        assert_eq!(
            found,
            ["rustc-1.100.0", "rustc-1.96.0", "rustc-1.85.0"]
                .map(|name| folder.path().join(name).join("library")),
            "1.63 is too old"
        );
    }
}
