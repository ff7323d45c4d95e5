//! Private Python environments with pinned packages.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine;
use crate::problem::{Problem, Result};
use crate::shell;

/// One environment. Its folder is also the prefix in which the kernel is installed.
pub(crate) struct Environment {
    prefix: PathBuf,
}

/// A copy of the installed requirements, so that an unchanged environment is not installed again.
const STAMP: &str = "graft-requirements.txt";

impl Environment {
    /// Creates the environment, or updates it if the requirements have changed.
    pub(crate) fn ready(prefix: &Path, requirements: &Path) -> Result<Self> {
        let environment = Self { prefix: prefix.to_path_buf() };
        let wanted = pinned(requirements)?;
        let stamp = prefix.join(STAMP);
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            println!("  {} is up to date", prefix.display());
            return Ok(environment);
        }
        machine::python_with_venv()?;
        shell::run(shell::command("python3", &["-m", "venv"]).arg(prefix))?;
        let mut pip = environment.python();
        pip.args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar",
            "off",
            "-r",
        ])
        .arg(requirements);
        shell::run(&mut pip)?;
        std::fs::write(&stamp, wanted).map_err(|error| Problem::file("write", &stamp, &error))?;
        Ok(environment)
    }

    /// Returns the environment in a folder that [`Environment::ready`] has created.
    pub(crate) fn at(prefix: &Path) -> Self {
        Self { prefix: prefix.to_path_buf() }
    }

    /// Creates a command for its interpreter, isolated from the user's own Python and Jupyter
    /// settings.
    pub(crate) fn python(&self) -> Command {
        self.program("python")
    }

    /// Creates a command for a program in the environment's `bin`.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = shell::command(self.prefix.join("bin").join(name.as_ref()), &[]);
        command
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME")
            .env("JUPYTER_PREFER_ENV_PATH", "1")
            .env("PYTHONUNBUFFERED", "1");
        command
    }
}

/// Reads the requirements and the files they include, as stored in the stamp.
fn pinned(requirements: &Path) -> Result<String> {
    let text = std::fs::read_to_string(requirements)
        .map_err(|error| Problem::file("read", requirements, &error))?;
    let mut whole = text.clone();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("-r ").or_else(|| line.strip_prefix("-c ")) {
            whole.push_str(&pinned(&requirements.with_file_name(name.trim()))?);
        }
    }
    Ok(whole)
}
