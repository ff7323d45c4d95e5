//! Child processes, printed before they run, with an empty stdin.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;

use crate::problem::{Problem, Result};

/// Creates a command for [`run`]. Its stdin is empty, so that no program can wait for an answer.
pub(crate) fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    // `cargo run` sets these variables for this program. Build scripts that watch them would be run
    // again by the cargo started here, and again by the user's own cargo.
    let of_this_program =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_program))
    {
        command.env_remove(name);
    }
    command
}

/// Prints and runs a command that inherits our output. An exit code other than 0 is a problem.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("  $ {}", shown(command));
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    succeeded(command, status)
}

/// Converts an exit code other than 0 to a problem.
pub(crate) fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(Problem::new(format!("`{}` exited with {status}", shown(command))))
    }
}

/// Prints and runs a command, prints each line of its output as it arrives, and passes the line to
/// `read`.
pub(crate) fn watch(command: &mut Command, mut read: impl FnMut(&str)) -> Result<ExitStatus> {
    println!("  $ {}", shown(command));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let (send, lines) = mpsc::channel();
    for stream in [
        child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
        child.stderr.take().map(|it| Box::new(it) as _),
    ]
    .into_iter()
    .flatten()
    {
        let send = send.clone();
        std::thread::spawn(move || {
            BufReader::new(stream)
                .lines()
                .map_while(std::result::Result::ok)
                .try_for_each(|line| send.send(line))
        });
    }
    drop(send);
    for line in lines {
        println!("{line}");
        read(&line);
    }
    child.wait().map_err(|error| cannot_start(command, &error))
}

/// Runs a command without printing it and returns its stdout; `None` if it failed or could not be
/// run.
pub(crate) fn stdout_of(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Formats a command as a user would type it. Of its environment only `RUSTFLAGS` is included,
/// without which cargo would compile everything again.
pub(crate) fn shown(command: &Command) -> String {
    let flags = command
        .get_envs()
        .filter(|(name, _)| *name == "RUSTFLAGS")
        .filter_map(|(_, value)| Some(format!("RUSTFLAGS={}", value?.to_string_lossy())));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy().into_owned());
    flags.chain(words).collect::<Vec<_>>().join(" ")
}

/// Creates the problem of a program that cannot be started.
pub(crate) fn cannot_start(command: &Command, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot start `{}`: {error}", command.get_program().to_string_lossy()))
}

/// Finds a program on PATH.
pub(crate) fn which(program: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
