//! `graft relay`: what evcxr takes for its runtime process.
//!
//! It hands its three standard streams to the host over an inherited socket and then only waits: while the host holds the other end
//! of its lifeline, evcxr sees a living process. When the child dies (or the host), the lifeline ends and so does the relay.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::unix;

/// What evcxr prints as the status of a process whose child has died.
const STATUS_GONE: i32 = 7;

/// The command that evcxr runs as its subprocess; `socket` is the sending end of [`unix::message_pair`], kept open by the host.
pub(crate) fn command(
    executable: &std::path::Path,
    socket: std::os::fd::BorrowedFd<'_>,
) -> Command {
    use std::os::fd::AsRawFd;
    let number = socket.as_raw_fd();
    let mut command = Command::new(executable);
    command.arg("relay").arg(number.to_string());
    unix::inherit(&mut command, &[number]);
    command
}

/// Runs the relay; `arguments` are those after `graft relay`.
pub fn run(arguments: &[String]) -> i32 {
    match hand_over(arguments) {
        Ok(mut lifeline) => {
            let _ = lifeline.read(&mut [0]);
            STATUS_GONE
        }
        Err(error) => {
            eprintln!("the relay cannot reach its host: {error}");
            STATUS_GONE
        }
    }
}

fn hand_over(arguments: &[String]) -> std::io::Result<UnixStream> {
    let number = arguments
        .first()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| std::io::Error::other("no descriptor named"))?;
    let socket = unix::inherited(number)?;
    let (mine, hosts) = UnixStream::pair()?;
    unix::send_descriptors(
        socket.as_fd(),
        [
            std::io::stdin().as_fd(),
            std::io::stdout().as_fd(),
            std::io::stderr().as_fd(),
            hosts.as_fd(),
        ],
    )?;
    for number in 0..3 {
        // The host has its copies; ours would keep evcxr from seeing the end of a stream.
        drop(unix::inherited(number)?);
    }
    Ok(mine)
}
