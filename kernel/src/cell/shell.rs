//! `!command`: runs a shell line and shows its output as it arrives.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
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
    pub(crate) env: &'a BTreeMap<String, String>,
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
    let mut child = spawn(line, context.env)?;
    let mut group = ProcessGroup(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let to = |stream| Forward { stream, frontend, budget: context.budget };
    let copy = async {
        tokio::join!(forward(stdout, to(Stream::Stdout)), forward(stderr, to(Stream::Stderr)));
    };
    tokio::pin!(copy);
    let outcome = wait(&mut child, &group, copy, context.interrupt).await?;
    // With the shell reaped and the pipes closed, the group may be empty and its number may be
    // reused.
    if outcome.is_copied || !outcome.is_interrupted {
        group.0 = None;
    }
    Ok(match outcome.status.code() {
        Some(code) => Exit::Code(code),
        None => Exit::Signal(outcome.status.signal().unwrap_or_default()),
    })
}

fn spawn(line: &str, env: &BTreeMap<String, String>) -> std::io::Result<Child> {
    let mut command = Command::new("sh");
    toolchain::leave_choice(|variable| {
        command.env_remove(variable);
    });
    command
        .arg("-c")
        .arg(line)
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// How waiting for the shell ended.
struct Outcome {
    status: ExitStatus,
    /// Whether all output was copied before [`DRAIN_TIMEOUT`].
    is_copied: bool,
    is_interrupted: bool,
}

/// Returns when the shell has exited and its output is copied. An interrupt is forwarded to the
/// group, which is killed after [`KILL_TIMEOUT`].
async fn wait(
    child: &mut Child,
    group: &ProcessGroup,
    mut copy: Pin<&mut impl Future<Output = ()>>,
    interrupt: &Interrupt,
) -> std::io::Result<Outcome> {
    let mut is_copied = false;
    let mut is_interrupted = false;
    let mut exited = None;
    let mut deadline = None;
    loop {
        if let Some(status) = exited.filter(|_| is_copied) {
            return Ok(Outcome { status, is_copied, is_interrupted });
        }
        let timeout = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now));
        tokio::select! {
            () = copy.as_mut(), if !is_copied => is_copied = true,
            status = child.wait(), if exited.is_none() => {
                exited = Some(status?);
                deadline = Some(Instant::now() + DRAIN_TIMEOUT);
            }
            () = interrupt.pressed(), if !is_interrupted => {
                is_interrupted = true;
                // As in a terminal, the signal goes to the whole group.
                group.signal(libc::SIGINT);
                deadline = deadline.or(Some(Instant::now() + KILL_TIMEOUT));
            }
            () = timeout, if deadline.is_some() => match exited {
                Some(status) => return Ok(Outcome { status, is_copied, is_interrupted }),
                None => {
                    group.signal(libc::SIGKILL);
                    deadline = None;
                }
            },
        }
    }
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
