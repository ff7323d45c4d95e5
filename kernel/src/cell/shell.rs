//! `!command`: runs a shell line and shows its output as it arrives.

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

/// How long output is read after the shell has exited. Background processes (`&`) may keep the
/// pipes open forever.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(300);
/// How long the shell may take to exit after an interrupt before it is killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The environment of a shell line.
pub(crate) struct ShellContext<'a> {
    /// Variables set with `%env`.
    pub(crate) env: &'a std::collections::BTreeMap<String, String>,
    /// The stop button.
    pub(crate) interrupt: &'a Interrupt,
    /// Back-pressure for its output.
    pub(crate) budget: &'a OutputBudget,
}

/// How a shell line exited.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this exit status.
    Code(i32),
    /// By a signal, for example after an interrupt.
    Signal(i32),
}

/// The process group of the line, killed on drop: after an interrupt, or when the kernel exits.
struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    fn signal(&self, signal: i32) {
        if let Some(leader) = self.0 {
            process::signal_group(leader, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
    }
}

/// Runs `sh -c LINE` with empty standard input in a new process group. Background processes that it
/// starts keep running.
///
/// # Errors
/// If `sh` cannot be started.
pub(crate) async fn run(
    line: &str,
    context: ShellContext<'_>,
    frontend: &dyn Frontend,
) -> std::io::Result<Exit> {
    let mut command = Command::new("sh");
    toolchain::leave_choice(|variable| {
        command.env_remove(variable);
    });
    command
        .arg("-c")
        .arg(line)
        .envs(context.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let mut group = ProcessGroup(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let to = |stream| Forward { stream, frontend, budget: context.budget };
    let copy = async {
        tokio::join!(forward(stdout, to(Stream::Stdout)), forward(stderr, to(Stream::Stderr)))
    };
    tokio::pin!(copy);
    let mut is_copied = false;
    let mut is_interrupted = false;
    let mut status = None;
    let mut deadline = None;
    let status = loop {
        if let Some(status) = status.filter(|_| is_copied) {
            break status;
        }
        tokio::select! {
            _ = &mut copy, if !is_copied => is_copied = true,
            ended = child.wait(), if status.is_none() => {
                status = Some(ended?);
                deadline = Some(Instant::now() + DRAIN_TIMEOUT);
            }
            () = context.interrupt.pressed(), if !is_interrupted => {
                is_interrupted = true;
                // As in a terminal, the signal goes to the whole group.
                group.signal(libc::SIGINT);
                deadline = deadline.or(Some(Instant::now() + KILL_TIMEOUT));
            }
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => match status {
                Some(status) => break status,
                None => {
                    group.signal(libc::SIGKILL);
                    deadline = None;
                }
            },
        }
    };
    // With the shell reaped and the pipes closed, the group may be empty and its number may be
    // reused.
    if is_copied || !is_interrupted {
        group.0 = None;
    }
    Ok(match status.code() {
        Some(code) => Exit::Code(code),
        None => Exit::Signal(status.signal().unwrap_or_default()),
    })
}

/// The target of one stream of the line.
struct Forward<'a> {
    stream: Stream,
    frontend: &'a dyn Frontend,
    budget: &'a OutputBudget,
}

async fn forward(source: Option<impl AsyncRead + Unpin>, target: Forward<'_>) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; 16 << 10];
    // An error means that the pipe is closed.
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        target.budget.ready().await;
        target.frontend.stream(target.stream, buffer.get(..count).unwrap_or_default());
    }
}
