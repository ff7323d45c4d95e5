//! `!command`: a line for the shell, its output shown as it comes.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::Instant;

use graft_frontend::Interrupt;
use graft_frontend::OutputBudget;
use graft_frontend::{Frontend, Stream};
use graft_prebuilt::{process, toolchain};

/// For how long the output is read after the shell has ended: what it left in the background (`&`) may keep the pipes open for ever.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long the line may take to end after the stop button.
const GRACE: Duration = Duration::from_secs(2);

/// Where and with what the line runs.
pub(crate) struct Surroundings<'a> {
    /// Variables set with `%env`.
    pub(crate) env: &'a std::collections::BTreeMap<String, String>,
    /// The stop button.
    pub(crate) interrupt: &'a Interrupt,
    /// How much of what it prints is still on its way.
    pub(crate) budget: &'a OutputBudget,
}

/// How a shell line ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this status.
    Exit(i32),
    /// By a signal, also the one of the stop button.
    Signal(i32),
}

/// The line's process group, killed when the line is given up: by the stop button, or because the kernel ends.
struct Group(Option<u32>);

impl Group {
    fn signal(&self, signal: i32) {
        if let Some(leader) = self.0 {
            process::signal_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
    }
}

/// Runs `sh -c LINE`, standard input empty, in a process group of its own. What it starts in the background goes on.
///
/// # Errors
/// When `sh` cannot be started.
pub(crate) async fn run(
    line: &str,
    around: Surroundings<'_>,
    frontend: &dyn Frontend,
) -> std::io::Result<Ending> {
    let mut command = Command::new("sh");
    toolchain::leave_choice(|variable| {
        command.env_remove(variable);
    });
    command
        .arg("-c")
        .arg(line)
        .envs(around.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let mut group = Group(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let to = |stream| Way { stream, frontend, budget: around.budget };
    let copy = async {
        tokio::join!(pass_on(stdout, to(Stream::Stdout)), pass_on(stderr, to(Stream::Stderr)))
    };
    tokio::pin!(copy);
    let (mut copied, mut pressed, mut status, mut limit) = (false, false, None, None);
    let status = loop {
        if let Some(status) = status.filter(|_| copied) {
            break status;
        }
        tokio::select! {
            _ = &mut copy, if !copied => copied = true,
            ended = child.wait(), if status.is_none() => {
                status = Some(ended?);
                limit = Some(Instant::now() + LAST_WORDS);
            }
            () = around.interrupt.pressed(), if !pressed => {
                pressed = true;
                // The whole group gets it, as in a terminal.
                group.signal(libc::SIGINT);
                limit = limit.or(Some(Instant::now() + GRACE));
            }
            () = tokio::time::sleep_until(limit.unwrap_or_else(Instant::now)), if limit.is_some() => match status {
                Some(status) => break status,
                None => {
                    group.signal(libc::SIGKILL);
                    limit = None;
                }
            },
        }
    };
    // With the shell waited for and the pipes closed nobody may be left in the group, and its number may be another's.
    if copied || !pressed {
        group.0 = None;
    }
    Ok(match status.code() {
        Some(code) => Ending::Exit(code),
        None => Ending::Signal(status.signal().unwrap_or_default()),
    })
}

/// Where one of the line's streams goes.
struct Way<'a> {
    stream: Stream,
    frontend: &'a dyn Frontend,
    budget: &'a OutputBudget,
}

async fn pass_on(source: Option<impl AsyncRead + Unpin>, way: Way<'_>) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; 16 << 10];
    // An error here is the end of the pipe.
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        way.budget.ready().await;
        way.frontend.stream(way.stream, buffer.get(..count).unwrap_or_default());
    }
}
