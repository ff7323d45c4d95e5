//! Finds the rustc and cargo that this process uses, once and outside the notebook's folder.
//!
//! The `rustc` and `cargo` proxies of rustup read the `rust-toolchain.toml` of the current folder
//! and run any program that it names. A notebook's folder may be untrusted, so rustup is queried
//! once, in the root folder, and the programs that it reports are then called directly.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use crate::PrebuiltError;

/// The folder in which rustup and rustc are called; only the administrator can write to it.
const TRUSTED_FOLDER: &str = "/";
/// The variable with the name of the toolchain, which has precedence over toolchain files.
pub const TOOLCHAIN_VARIABLE: &str = "RUSTUP_TOOLCHAIN";
/// Variables that make cargo use another compiler or a wrapper.
pub const COMPILER_VARIABLES: [&str; 8] = [
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTDOC",
];

/// The programs in use.
static FOUND: Mutex<Option<Arc<Tools>>> = Mutex::new(None);

/// The programs of a toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// The compiler itself, not rustup's proxy.
    pub rustc: PathBuf,
    /// The cargo of the toolchain.
    pub cargo: PathBuf,
    /// The name of the toolchain in rustup, if it is installed by rustup.
    pub name: Option<String>,
    /// Whether the user has selected the toolchain with `RUSTUP_TOOLCHAIN`.
    pub is_users_choice: bool,
}

/// The programs, found at the first call. A failure is not cached, since Rust may be installed
/// while the kernel runs.
///
/// # Errors
/// Returns an error if rustc or cargo is missing, or if rustup fails.
pub fn tools() -> Result<Arc<Tools>, PrebuiltError> {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tools) = &*found {
        return Ok(Arc::clone(tools));
    }
    let tools = Arc::new(find(
        std::env::var_os("PATH").as_deref(),
        std::env::var_os(TOOLCHAIN_VARIABLE).is_some(),
    )?);
    *found = Some(Arc::clone(&tools));
    Ok(tools)
}

/// Uses the toolchain `version` of rustup from now on. Returns whether it is installed; the
/// user's own choice is never replaced.
pub fn switch_to(version: &str) -> bool {
    let has_choice = std::env::var_os(TOOLCHAIN_VARIABLE).is_some();
    let path = std::env::var_os("PATH");
    match (!has_choice).then(|| find_version(version, path.as_deref())).flatten() {
        Some(tools) => {
            *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tools));
            true
        }
        None => false,
    }
}

/// Calls `remove` with the toolchain variable if this process, not the user, has set it, so that
/// programs started by the user select their toolchain themselves.
pub fn leave_choice(remove: impl FnOnce(&str)) {
    // Checked first, because `tools` may start rustup.
    if std::env::var_os(TOOLCHAIN_VARIABLE).is_some()
        && tools().is_ok_and(|tools| !tools.is_users_choice)
    {
        remove(TOOLCHAIN_VARIABLE);
    }
}

impl Tools {
    /// A command of rustc that runs outside the notebook's folder.
    pub fn rustc(&self) -> Command {
        self.prepared(&self.rustc, Path::new(TRUSTED_FOLDER))
    }

    /// A command of cargo in one of Graft's folders. Configuration files there and above cannot
    /// select another compiler or a wrapper.
    pub fn cargo(&self, folder: &Path) -> Command {
        let mut command = self.prepared(&self.cargo, folder);
        // The environment has precedence over configuration files. An empty wrapper means no
        // wrapper.
        command
            .env("RUSTC", &self.rustc)
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "");
        command
    }

    fn prepared(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env_remove("RUSTFLAGS");
        for variable in COMPILER_VARIABLES {
            command.env_remove(variable);
        }
        if let Some(name) = &self.name {
            command.env(TOOLCHAIN_VARIABLE, name);
        }
        command
    }
}

fn find(path: Option<&OsStr>, is_users_choice: bool) -> Result<Tools, PrebuiltError> {
    let rustc = on_path("rustc", path)?;
    let Some(rustup) = rustup_of(&rustc) else {
        return Ok(Tools { cargo: on_path("cargo", path)?, rustc, name: None, is_users_choice });
    };
    of_rustup(&rustup, None, is_users_choice)
}

/// The programs of an installed toolchain of rustup.
fn find_version(version: &str, path: Option<&OsStr>) -> Option<Tools> {
    let rustup = rustup_of(&on_path("rustc", path).ok()?)?;
    of_rustup(&rustup, Some(version), false).ok()
}

/// The programs that rustup runs for the toolchain `version`, or for the selected or default one.
fn of_rustup(
    rustup: &Path,
    version: Option<&str>,
    is_users_choice: bool,
) -> Result<Tools, PrebuiltError> {
    let (rustc, cargo) = (which(rustup, "rustc", version)?, which(rustup, "cargo", version)?);
    // TOOLCHAINS/NAME/bin/rustc
    let name = rustc
        .ancestors()
        .nth(2)
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    Ok(Tools { rustc, cargo, name, is_users_choice })
}

/// The first program of this name on the search path. Relative folders are skipped, since they
/// depend on the notebook's folder.
fn on_path(name: &str, path: Option<&OsStr>) -> Result<PathBuf, PrebuiltError> {
    let is_program = |file: &PathBuf| {
        std::fs::metadata(file)
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    let mut candidates = path
        .map(std::env::split_paths)
        .into_iter()
        .flatten()
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name));
    let missing = || PrebuiltError::Toolchain {
        tool: name.to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    candidates.find(is_program).ok_or_else(missing)
}

/// The rustup that a `rustc` is a proxy of: a symbolic or hard link to a program `rustup` in the
/// same folder.
fn rustup_of(rustc: &Path) -> Option<PathBuf> {
    let rustup = rustc.with_file_name("rustup");
    let (one, other) = (std::fs::metadata(rustc).ok()?, std::fs::metadata(&rustup).ok()?);
    ((one.dev(), one.ino()) == (other.dev(), other.ino())).then_some(rustup)
}

/// The program that rustup's proxy runs for a toolchain, or for the selected or default one,
/// regardless of the notebook's folder.
fn which(rustup: &Path, tool: &str, version: Option<&str>) -> Result<PathBuf, PrebuiltError> {
    let output = Command::new(rustup)
        .args(["which", tool])
        .args(version.into_iter().flat_map(|version| ["--toolchain", version]))
        .env("RUSTUP_AUTO_INSTALL", "0")
        .current_dir(TRUSTED_FOLDER)
        .output()
        .map_err(|source| PrebuiltError::Toolchain { tool: "rustup".to_owned(), source })?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        Err(PrebuiltError::Build {
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn program(path: &Path, script: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A fake rustup that, like the real one, reads the toolchain file of the current folder.
    fn rustup(folder: &Path) -> PathBuf {
        let bin = folder.join("cargo/bin");
        let script = format!(
            "if [ -f ./rust-toolchain.toml ]; then touch {0}/hijacked; fi\necho {0}/toolchains/stable/bin/$2",
            folder.display()
        );
        program(&bin.join("rustup"), &script);
        for name in ["rustc", "cargo"] {
            symlink("rustup", bin.join(name)).unwrap();
            program(
                &folder.join("toolchains/stable/bin").join(name),
                "pwd; echo $RUSTUP_TOOLCHAIN $RUSTC \"[$RUSTC_WRAPPER]\"",
            );
        }
        bin
    }

    #[test]
    fn a_toolchain_file_in_the_notebooks_folder_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let bin = rustup(folder.path());
        let notebook = folder.path().join("notebook");
        program(&notebook.join("rustc"), "touch hijacked");
        std::fs::write(notebook.join("rust-toolchain.toml"), "[toolchain]\npath = \"evil\"\n")
            .unwrap();
        // A shell in that folder would find these first.
        let path = std::env::join_paths([Path::new(""), Path::new("."), bin.as_path()]).unwrap();
        let tools = in_folder(&notebook, || find(Some(&path), false).unwrap());
        let stable = folder.path().join("toolchains/stable/bin");
        assert_eq!(
            (tools.rustc.clone(), tools.cargo.clone(), tools.name.as_deref()),
            (stable.join("rustc"), stable.join("cargo"), Some("stable"))
        );
        let output = in_folder(&notebook, || tools.rustc().output().unwrap().stdout);
        assert_eq!(String::from_utf8(output).unwrap(), "/\nstable []\n");
        assert!(!folder.path().join("hijacked").exists() && !notebook.join("hijacked").exists());
    }

    #[test]
    fn cargo_gets_the_compiler_and_no_wrapper() {
        let folder = tempfile::tempdir().unwrap();
        let bin = rustup(folder.path());
        let tools = find(Some(bin.as_os_str()), true).unwrap();
        let output =
            String::from_utf8(tools.cargo(folder.path()).output().unwrap().stdout).unwrap();
        assert_eq!(
            output,
            format!("{}\nstable {} []\n", folder.path().display(), tools.rustc.display())
        );
    }

    #[test]
    fn an_installed_toolchain_of_another_version_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let bin = rustup(folder.path());
        let script = format!(
            "[ \"$3 $4\" = '--toolchain 1.95.0' ] || exit 1; echo {}/toolchains/1.95.0/bin/$2",
            folder.path().display()
        );
        program(&bin.join("rustup"), &script);
        let found = find_version("1.95.0", Some(bin.as_os_str())).unwrap();
        assert_eq!(found.name.as_deref(), Some("1.95.0"));
        assert_eq!(found.rustc, folder.path().join("toolchains/1.95.0/bin/rustc"));
        assert!(find_version("1.80.0", Some(bin.as_os_str())).is_none(), "not installed");
    }

    #[test]
    fn a_compiler_without_rustup_is_used_by_its_full_path() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["rustc", "cargo"] {
            program(&folder.path().join(name), "");
        }
        let tools = find(Some(folder.path().as_os_str()), false).unwrap();
        assert_eq!((tools.rustc, tools.name), (folder.path().join("rustc"), None));
        assert!(matches!(
            find(Some(OsStr::new("relative:.")), false),
            Err(PrebuiltError::Toolchain { .. })
        ));
        assert!(find(None, false).is_err());
    }

    /// Runs `work` in a folder. The tests of a process share the current folder, so they run one at
    /// a time.
    fn in_folder<T>(folder: &Path, work: impl FnOnce() -> T) -> T {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::env::current_dir().unwrap();
        std::env::set_current_dir(folder).unwrap();
        let result = work();
        std::env::set_current_dir(before).unwrap();
        result
    }
}
