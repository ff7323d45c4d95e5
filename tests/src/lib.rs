//! What the end-to-end tests share: the checkout, what `cargo xtask test` has prepared, and the call of a scenario.
//!
//! A scenario is one function of `tests/python/scenarios/*.py`: it starts the installed kernel as Jupyter does and looks at what a reader would see.
//! The Rust side knows nothing of Jupyter; it gives every scenario a test of its own, so that one runner counts them all.

mod workspace;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub use workspace::{Package, source_files, workspace};

/// The folder of the workspace's Cargo.toml.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The prefix that holds the test's Python environment and the installed kernel: `GRAFT_TEST_PREFIX`, or `target/graft-test`.
pub fn prefix() -> PathBuf {
    std::env::var_os("GRAFT_TEST_PREFIX").map_or_else(|| root().join("target/graft-test"), PathBuf::from)
}

/// How long a scenario may take; it ends itself a little earlier, so that it can stop the kernels it has started.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs one scenario to its end, or to its end by force after ten minutes.
///
/// # Panics
/// When it fails, with everything it printed; and when nothing is prepared, with the command that prepares it.
pub fn scenario(module: &str, function: &str) {
    let python = prefix().join("bin/python");
    assert!(python.is_file(), "{} is missing: run `cargo xtask test`, which prepares what end-to-end tests need", python.display());
    let mut command = Command::new(python);
    command.arg(root().join("tests/python/scenario.py")).args([module, function]).env("GRAFT_TEST_PREFIX", prefix()).env_remove("PYTHONPATH");
    let (ended, printed) = match run(&mut command, &format!("{module}.{function}"), LIMIT) {
        Ok(outcome) => outcome,
        Err(error) => panic!("cannot run {command:?}: {error}"),
    };
    assert!(ended.is_some(), "{module}.{function} did not end within {LIMIT:?} and was killed:\n{printed}");
    assert!(ended.is_some_and(|status| status.success()), "{module}.{function} failed:\n{printed}");
}

/// Runs a command in a process group of its own: how it ended, or nothing when it had to be killed, and what it printed.
fn run(command: &mut Command, name: &str, limit: Duration) -> std::io::Result<(Option<ExitStatus>, String)> {
    // A file and not a pipe: a grandchild that outlives the command would hold a pipe open for ever.
    let path = std::env::temp_dir().join(format!("graft-{name}-{}.log", std::process::id()));
    let log = File::create(&path)?;
    let mut child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()?;
    let ended = wait(&mut child, limit)?;
    let printed = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
    std::fs::remove_file(&path)?;
    Ok((ended, printed))
}

/// Waits for a child that leads its process group; kills the whole group when the time is over.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Command::new("sh").arg("-c").arg(format!("kill -KILL -{}", child.id())).status()?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_command_that_never_ends_is_killed_with_what_it_started() {
        let mut endless = Command::new("sh");
        endless.args(["-c", "echo begun; sleep 1000 & echo $!; wait"]);
        let (ended, printed) = run(&mut endless, "endless", Duration::from_secs(2)).unwrap();
        assert!(ended.is_none());
        let process = printed.strip_prefix("begun\n").expect("what was printed is kept").trim();
        let state = || std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let is_gone = |state: &str| state.is_empty() || state.contains(") Z ");
        // On a busy machine a killed process takes its time to be gone.
        let begun = Instant::now();
        while !is_gone(&state()) && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(is_gone(&state()), "{}", state());
    }

    #[test]
    fn how_a_command_ends_is_told() {
        let (ended, printed) = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]), "three", LIMIT).unwrap();
        assert_eq!((ended.and_then(|status| status.code()), printed.as_str()), (Some(3), "out\nerr\n"));
    }
}
