//! `graft relay`: the process that evcxr takes for its runtime process.
//!
//! The relay passes its three standard streams to the host over an inherited socket and then blocks
//! on a second socket, its lifeline. To evcxr it is a running process. When the child or the host
//! dies, the lifeline closes and the relay exits.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::unix;

/// The exit status, which evcxr reports for a child that has died.
const EXIT_STATUS: i32 = 7;

/// The command that evcxr runs as its subprocess. `socket` is the sending end of
/// [`unix::message_pair`], which the host keeps open.
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

/// Runs the relay with the arguments after `graft relay`; returns the exit status.
pub fn run(arguments: &[String]) -> i32 {
    match pass_streams(arguments) {
        Ok(mut lifeline) => {
            let _ = lifeline.read(&mut [0]);
            EXIT_STATUS
        }
        Err(error) => {
            eprintln!("graft relay: cannot reach the host: {error}");
            EXIT_STATUS
        }
    }
}

fn pass_streams(arguments: &[String]) -> std::io::Result<UnixStream> {
    let number = arguments
        .first()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| std::io::Error::other("missing descriptor number"))?;
    let socket = unix::inherited(number)?;
    let (own_end, hosts_end) = UnixStream::pair()?;
    unix::send_descriptors(
        socket.as_fd(),
        [
            std::io::stdin().as_fd(),
            std::io::stdout().as_fd(),
            std::io::stderr().as_fd(),
            hosts_end.as_fd(),
        ],
    )?;
    for number in 0..3 {
        // The host has copies. With these open, evcxr would not see the end of a stream.
        drop(unix::inherited(number)?);
    }
    Ok(own_end)
}
