//! The machine's Rust: compiler, cargo, libstd and the sources that rust-analyzer reads.

mod resolve;

use std::path::{Path, PathBuf};

use super::PrebuiltError;
pub use resolve::{COMPILER_VARIABLES, TOOLCHAIN_VARIABLE, leave_choice, tools};

/// How to get the sources of the standard library.
pub const SOURCES_HINT: &str = "`rustup component add rust-src`; only beside Debian's own Rust `sudo apt install rust-src` (`rust-web-src` beside `rustc-web`), which are those of its version";

/// `rustc -vV`.
pub fn verbose_version() -> Result<String, PrebuiltError> {
    rustc(&["-vV"])
}

/// `cargo --version`; none where it does not run.
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

/// Where rustc keeps the libraries of the target.
pub fn library_folder() -> Result<PathBuf, PrebuiltError> {
    Ok(PathBuf::from(rustc(&["--print", "target-libdir"])?.trim()))
}

/// The shared libstd of the compiler.
pub fn shared_std() -> Result<PathBuf, PrebuiltError> {
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
            message: format!("there is no libstd-*.so in {}", folder.display()),
        })
}

/// Sources of the standard library, which rust-analyzer needs to infer types: the toolchain's own, `RUST_SRC_PATH`, or those of
/// Debian's `rust-src` and `rust-web-src`.
pub fn standard_sources() -> Option<PathBuf> {
    let own = rustc(&["--print", "sysroot"])
        .ok()
        .map(|text| Path::new(text.trim()).join("lib/rustlib/src/rust/library"));
    let named = std::env::var_os("RUST_SRC_PATH").map(PathBuf::from);
    let mut dirs: Vec<PathBuf> = own.into_iter().chain(named).collect();
    dirs.extend(debian_sources(Path::new("/usr/src")));
    dirs.push(PathBuf::from("/usr/lib/rustlib/src/rust/library"));
    dirs.into_iter().find(|place| place.join("core/src/lib.rs").exists())
}

/// The version of sources that are not those of the compiler, `1.85`, with the compiler's: types are then inferred from another standard library, and
/// some of `let v = vec![1];` and `format!` cannot be kept.
pub fn sources_of_another_version(sources: &Path) -> Option<(String, String)> {
    let version = rustc(&["--version"]).ok()?;
    let compiler = version.split_whitespace().nth(1).map(series)?;
    let named = sources
        .ancestors()
        .find_map(|folder| folder.file_name()?.to_str()?.strip_prefix("rustc-").map(series))?;
    (named != compiler).then_some((named, compiler))
}

/// `1.85` of `1.85.0`.
fn series(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// The oldest standard library that evcxr's rust-analyzer understands (edition 2024); on one of 1.63 it panics.
const OLDEST_SOURCES: u32 = 85;

/// `/usr/src/rustc-1.*/library`, newest version first.
fn debian_sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let minor = |path: &Path| {
        path.file_name()?.to_str()?.strip_prefix("rustc-1.")?.split('.').next()?.parse::<u32>().ok()
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((minor(&path).filter(|minor| *minor >= OLDEST_SOURCES)?, path))
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
