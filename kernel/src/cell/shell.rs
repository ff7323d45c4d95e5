//! `!command`: a line for the shell, its output shown as it comes.

use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::frontend::{Frontend, Stream};
use crate::interrupt::Interrupt;
use crate::unix;

/// Where and with what the line runs.
pub(crate) struct Surroundings<'a> {
    /// Variables set with `%env`.
    pub(crate) env: &'a std::collections::BTreeMap<String, String>,
    /// The stop button.
    pub(crate) interrupt: &'a Interrupt,
}

/// How a shell line ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this status.
    Exit(i32),
    /// By a signal, also the one of the stop button.
    Signal(i32),
}

/// Runs `sh -c LINE`, standard input empty, in a process group of its own.
///
/// # Errors
/// When `sh` cannot be started.
pub(crate) async fn run(line: &str, around: Surroundings<'_>, frontend: &dyn Frontend) -> std::io::Result<Ending> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).envs(around.env).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let copy = async { tokio::join!(pass_on(stdout, Stream::Stdout, frontend), pass_on(stderr, Stream::Stderr, frontend)) };
    let mut pressed = false;
    tokio::pin!(copy);
    loop {
        tokio::select! {
            _ = &mut copy => break,
            () = around.interrupt.pressed(), if !pressed => {
                pressed = true;
                // The whole group gets it, as in a terminal; the child is not yet waited for, so its number is still its own.
                if let Some(leader) = child.id() {
                    unix::signal_group(leader, libc::SIGINT);
                }
            }
        }
    }
    let status = child.wait().await?;
    use std::os::unix::process::ExitStatusExt;
    Ok(match status.code() {
        Some(code) => Ending::Exit(code),
        None => Ending::Signal(status.signal().unwrap_or_default()),
    })
}

async fn pass_on(source: Option<impl AsyncRead + Unpin>, stream: Stream, frontend: &dyn Frontend) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; 16 << 10];
    // An error here is the end of the pipe.
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        frontend.stream(stream, buffer.get(..count).unwrap_or_default());
    }
}
