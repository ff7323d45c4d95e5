//! Child processes: echoed, with nothing on their stdin.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::problem::{Problem, Result};

/// A command with its words, ready for [`run`]; stdin is empty so that nothing can wait for an answer.
pub(crate) fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    // `cargo run` sets these for this program. Build scripts that watch them would run again under a cargo of ours, and again under one of the reader's.
    let of_this_program =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_program))
    {
        command.env_remove(name);
    }
    command
}

/// Echoes and runs a command whose output goes to ours; an exit code other than 0 is a problem.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("  $ {}", shown(command));
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Problem::new(format!("`{}` ended with {status}", shown(command))))
    }
}

/// Runs a command quietly and gives its stdout, or nothing when it could not be run or failed.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command line as a reader would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The problem of a program that is not there.
pub(crate) fn cannot_start(command: &Command, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot start `{}`: {error}", command.get_program().to_string_lossy()))
}

/// Where a program lies on PATH.
pub(crate) fn which(program: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
