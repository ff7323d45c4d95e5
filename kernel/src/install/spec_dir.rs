//! The folders in which Jupyter searches for kernels.
//! Source: <https://docs.jupyter.org/en/latest/use/jupyter-directories.html#data-files>

use std::path::{Path, PathBuf};

use super::InstallError;

/// Where the kernel is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// For the current user.
    User,
    /// In the active Python environment.
    Environment,
    /// Under this folder.
    Prefix(PathBuf),
}

impl Place {
    /// The place that the command-line flags select.
    pub(crate) fn of(sys_prefix: bool, prefix: Option<&Path>) -> Self {
        match prefix {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None if sys_prefix => Self::Environment,
            None => Self::User,
        }
    }

    /// The prefix; `None` for the current user.
    ///
    /// # Errors
    /// [`InstallError::NoEnvironment`]
    pub(crate) fn prefix(&self) -> Result<Option<PathBuf>, InstallError> {
        match self {
            Self::User => Ok(None),
            Self::Environment => environment().map(Some).ok_or(InstallError::NoEnvironment),
            Self::Prefix(prefix) => {
                std::path::absolute(prefix).map(Some).map_err(InstallError::file(prefix))
            }
        }
    }

    /// Jupyter's data folder, which contains `kernels`.
    ///
    /// # Errors
    /// [`InstallError::NoEnvironment`] or [`InstallError::NoHome`]
    pub(crate) fn data_dir(&self) -> Result<PathBuf, InstallError> {
        match self.prefix()? {
            Some(prefix) => Ok(prefix.join("share/jupyter")),
            None => user_data_dir(),
        }
    }
}

/// All places into which this user may have installed, `prefix` first.
pub(crate) fn all(prefix: Option<&Path>) -> Vec<Place> {
    let given = prefix.map(|prefix| Place::Prefix(prefix.to_owned()));
    given
        .into_iter()
        .chain([Place::User])
        .chain(environment().map(|_| Place::Environment))
        .collect()
}

/// The data folder of the user: `$XDG_DATA_HOME` or `~/.local/share`.
pub(crate) fn data_home() -> Option<PathBuf> {
    absolute("XDG_DATA_HOME").or_else(|| Some(std::env::home_dir()?.join(".local/share")))
}

fn user_data_dir() -> Result<PathBuf, InstallError> {
    absolute("JUPYTER_DATA_DIR")
        .or_else(|| Some(data_home()?.join("jupyter")))
        .ok_or(InstallError::NoHome)
}

fn environment() -> Option<PathBuf> {
    absolute("VIRTUAL_ENV").or_else(|| absolute("CONDA_PREFIX"))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
