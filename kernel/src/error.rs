//! Errors of the host's own magics and of starting the engine.

use std::io;
use std::path::PathBuf;

use graft_spec::Hint;

/// Why a magic that runs in the host failed, or why there is no engine.
///
/// The errors of the operating system are part of the messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KernelError {
    /// The shell of a `!` line cannot be started.
    #[error("cannot start the shell: {error}")]
    Shell {
        /// The error of the operating system.
        error: io::Error,
    },
    /// An environment variable is not set.
    #[error("environment variable `{name}` is not set")]
    UnsetVariable {
        /// Its name.
        name: String,
    },
    /// `%cd -` without a previous folder.
    #[error("no previous folder to change back to")]
    NoPreviousFolder,
    /// `%cd` to a folder that cannot be used.
    #[error("cannot change to `{}`: {error}", path.display())]
    ChangeFolder {
        /// The folder.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
        /// The current folder, or why it is unknown.
        here: Result<PathBuf, String>,
    },
    /// The current folder was removed or cannot be read.
    #[error("cannot read the current folder: {error}")]
    NoCurrentFolder {
        /// The error of the operating system.
        error: io::Error,
    },
    /// `%runs export FILE.svg` of a run without steps.
    #[error("the run has no curve to draw")]
    NoCurve,
    /// A plot cannot be written.
    #[error("cannot write `{}`: {error}", path.display())]
    WritePlot {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// `%%writefile` cannot write its file.
    #[error("cannot write `{}`: {error}", path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The cell was interrupted before the engine had started.
    #[error("interrupted while the engine was starting; it continues to start in the background")]
    InterruptedStart,
    /// The task that starts the engine panicked.
    #[error("{message}")]
    StartPanic {
        /// The message of the panic.
        message: String,
    },
    /// The engine is needed while the kernel shuts down.
    #[error("the kernel is shutting down")]
    ShuttingDown,
    /// The runtime cannot start its threads.
    #[error("cannot start threads: {error}")]
    Runtime {
        /// The error of the operating system.
        error: io::Error,
    },
}

impl Hint for KernelError {
    fn code(&self) -> &'static str {
        match self {
            Self::Shell { .. } => "shell::start",
            Self::UnsetVariable { .. } => "env::unset",
            Self::NoPreviousFolder => "cd::no_folder_before",
            Self::ChangeFolder { .. } => "cd::folder",
            Self::NoCurrentFolder { .. } => "cd::gone",
            Self::NoCurve => "runs::no_curve",
            Self::WritePlot { .. } => "runs::io",
            Self::WriteFile { .. } => "file::unwritable",
            Self::InterruptedStart => "cell::interrupted",
            Self::StartPanic { .. } => "engine::panic",
            Self::ShuttingDown => "engine::gone",
            Self::Runtime { .. } => "kernel::runtime",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnsetVariable { name } => format!("use `%env {name}=VALUE` to set it"),
            Self::NoPreviousFolder | Self::NoCurrentFolder { .. } => {
                "use `%cd FOLDER` to change to a folder".to_owned()
            }
            // A missing folder is often a wrong relative path.
            Self::ChangeFolder { here: Ok(here), .. } => {
                format!("the current folder is {}; `!ls` lists its contents", here.display())
            }
            Self::ChangeFolder { here: Err(problem), .. } => problem.clone(),
            Self::NoCurve => "`%runs` lists the runs and their steps".to_owned(),
            Self::WritePlot { .. } => "choose a writable folder".to_owned(),
            Self::WriteFile { .. } => {
                "check that the folder exists and is writable: `!ls -ld .`".to_owned()
            }
            Self::Shell { .. }
            | Self::InterruptedStart
            | Self::StartPanic { .. }
            | Self::ShuttingDown
            | Self::Runtime { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_spec::Failure;

    #[test]
    fn a_wrong_folder_is_reported_with_the_cause_once_and_the_current_folder() {
        let error = io::Error::from_raw_os_error(2);
        let failure = Failure::from(KernelError::ChangeFolder {
            path: "nowhere".into(),
            error,
            here: Ok("/home/ada".into()),
        });
        assert_eq!(
            failure.to_string(),
            "cannot change to `nowhere`: No such file or directory (os error 2)\n\
             hint: the current folder is /home/ada; `!ls` lists its contents"
        );
    }
}
