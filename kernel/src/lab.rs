//! `graft lab [DIR]`: starts JupyterLab on the tutorials.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use graft_spec::{Failure, Hint};

use crate::cli::LabArgs;
use crate::jupyter::{self, on_path, own_data_dir, own_program};
use crate::notebooks::{self, DEFAULT_FOLDER};

/// The notebook that is opened first.
const FIRST: &str = "01-first-adapter.ipynb";
/// Succeeds if JupyterLab can be imported.
const IS_IMPORTABLE: &str =
    "import importlib.util, sys; sys.exit(importlib.util.find_spec('jupyterlab') is None)";

/// Why JupyterLab could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LabError {
    /// No Python on this machine can import JupyterLab.
    #[error("found no JupyterLab: {searched}")]
    NoJupyterLab {
        /// The Pythons that were asked.
        searched: String,
        /// The Python into which to install it.
        python: String,
    },
    /// Jupyter would not find the kernel.
    #[error("the kernel is not installed for JupyterLab")]
    NoKernel,
    /// The folder to open is not a folder.
    #[error("`{}` is not a folder", folder.display())]
    NotAFolder {
        /// The path.
        folder: PathBuf,
    },
    /// The program could not be started.
    #[error("cannot start `{}`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl Hint for LabError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoJupyterLab { .. } => "lab::no_jupyterlab",
            Self::NoKernel => "lab::no_kernel",
            Self::NotAFolder { .. } => "lab::not_a_folder",
            Self::Start { .. } => "lab::start",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoJupyterLab { python, .. } => {
                format!("install it and repeat the command: {python} -m pip install jupyterlab")
            }
            Self::NoKernel => "install it and repeat the command: graft install".to_owned(),
            Self::NotAFolder { .. } => "name a folder: `graft lab DIR`".to_owned(),
            Self::Start { .. } => "`graft doctor` shows which Jupyter is used".to_owned(),
        })
    }
}

/// A way to start JupyterLab.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Launcher {
    /// `PYTHON -m jupyterlab`
    Python(PathBuf),
    /// `jupyter-lab`, whose Python is in another environment.
    Program(PathBuf),
}

impl Launcher {
    fn program(&self) -> &Path {
        match self {
            Self::Python(program) | Self::Program(program) => program,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program());
        if let Self::Python(_) = self {
            command.args(["-m", "jupyterlab"]);
        }
        command
    }
}

/// Copies the tutorials if the folder does not exist, and replaces this process with JupyterLab.
///
/// # Errors
/// The failure to print.
pub(crate) fn run(args: &LabArgs) -> Result<(), Failure> {
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
    let launcher = launcher()?;
    let data = kernel_data_dir()?;
    prepare(&folder)?;
    let mut lab = launcher.command();
    lab.arg(format!("--ServerApp.root_dir={}", absolute(&folder).display()));
    if folder.join(FIRST).is_file() {
        lab.arg(format!("--LabApp.default_url=/lab/tree/{FIRST}"));
    }
    if args.no_browser {
        lab.arg("--no-browser");
    }
    if is_root() {
        lab.arg("--allow-root");
    }
    if let Some(data) = data {
        lab.env("JUPYTER_PATH", with_folder(&data));
    }
    println!("opening `{}` in JupyterLab; stop it with Ctrl-C", folder.display());
    let source = lab.args(&args.arguments).exec();
    Err(LabError::Start { program: launcher.program().to_owned(), source }.into())
}

/// The way to start JupyterLab: the Python of this program's prefix, then those on PATH, then
/// `jupyter-lab` on PATH.
fn launcher() -> Result<Launcher, LabError> {
    let mut pythons: Vec<PathBuf> = own_program("python3").into_iter().collect();
    pythons.extend(on_path("python3").into_iter().chain(on_path("python")));
    let pythons = jupyter::distinct(pythons);
    let found = pythons.iter().find(|python| imports_lab(python)).cloned().map(Launcher::Python);
    let program = || on_path("jupyter-lab").into_iter().next().map(Launcher::Program);
    found.or_else(program).ok_or_else(|| not_found(&pythons))
}

fn not_found(pythons: &[PathBuf]) -> LabError {
    let shown: Vec<String> = pythons.iter().map(|path| format!("`{}`", path.display())).collect();
    let searched = match shown.len() {
        0 => "there is no python3 on PATH".to_owned(),
        1 => format!("{} cannot import `jupyterlab`", shown[0]),
        _ => format!("none of {} can import `jupyterlab`", shown.join(", ")),
    };
    let python = pythons.first().map_or("python3".to_owned(), |path| jupyter::shell_word(path));
    LabError::NoJupyterLab { searched, python }
}

fn imports_lab(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", IS_IMPORTABLE]).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The data folder to add to those of JupyterLab, so that it finds the kernel of this program.
/// `None` if it finds one anyway.
fn kernel_data_dir() -> Result<Option<PathBuf>, LabError> {
    if let Some(own) = own_data_dir().filter(|own| has_kernel(own)) {
        return Ok(Some(own));
    }
    let known = jupyter::Jupyter::of_user().map_or_else(jupyter::default_data_dirs, |it| it.data);
    match known.iter().any(|data| has_kernel(data)) {
        true => Ok(None),
        false => Err(LabError::NoKernel),
    }
}

fn has_kernel(data: &Path) -> bool {
    data.join("kernels/graft/kernel.json").is_file()
}

/// Copies the tutorials into a folder that does not exist or is empty. Other folders are opened as
/// they are.
fn prepare(folder: &Path) -> Result<(), Failure> {
    if folder.exists() && !folder.is_dir() {
        return Err(LabError::NotAFolder { folder: folder.to_owned() }.into());
    }
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if is_empty {
        println!("{}", notebooks::report(&notebooks::copy(folder)?, folder));
    }
    Ok(())
}

/// `JUPYTER_PATH` with a folder before the user's own.
fn with_folder(data: &Path) -> std::ffi::OsString {
    let set = std::env::var_os("JUPYTER_PATH").unwrap_or_default();
    let user = std::env::split_paths(&set).filter(|path| !path.as_os_str().is_empty());
    let all = std::iter::once(data.to_owned()).chain(user);
    std::env::join_paths(all).unwrap_or_else(|_| data.as_os_str().to_owned())
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Whether the user is root, for whom Jupyter needs another argument.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_jupyterlab_is_reported_with_the_line_to_type() {
        let error = not_found(&[PathBuf::from("/opt/my python/python3")]);
        assert_eq!(
            error.to_string(),
            "found no JupyterLab: `/opt/my python/python3` cannot import `jupyterlab`"
        );
        assert_eq!(
            error.hint().unwrap(),
            "install it and repeat the command: '/opt/my python/python3' -m pip install jupyterlab"
        );
        assert!(not_found(&[]).to_string().contains("no python3 on PATH"));
    }

    #[test]
    fn a_folder_with_files_is_opened_as_it_is_and_an_empty_one_gets_the_tutorials() {
        let home = tempfile::tempdir().unwrap();
        let (own, new) = (home.path().join("own"), home.path().join("new"));
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("mine.ipynb"), "").unwrap();
        prepare(&own).unwrap();
        assert!(!own.join(FIRST).exists());
        prepare(&new).unwrap();
        assert!(new.join(FIRST).exists());
        assert!(prepare(&own.join("mine.ipynb")).is_err());
    }
}
