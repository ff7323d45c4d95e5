//! System calls that std does not provide: passing and inheriting descriptors, waiting for a
//! process without reaping it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Number of descriptors in a message: a relay's stdin, stdout, stderr and lifeline.
pub(crate) const DESCRIPTORS: usize = 4;

/// A buffer for the control message of [`DESCRIPTORS`] descriptors, with the alignment of
/// `cmsghdr`.
#[repr(C, align(8))]
struct ControlBuffer([u8; 64]);

/// A connected pair of sockets that preserve message boundaries; both close on exec.
pub(crate) fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has space for the two descriptors that the call writes.
    check(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC,
            0,
            ends.as_mut_ptr(),
        )
    })?;
    let [first, second] = ends;
    // SAFETY: the call succeeded, so both descriptors are open and have no other owner.
    Ok(unsafe { (OwnedFd::from_raw_fd(first), OwnedFd::from_raw_fd(second)) })
}

/// Sends copies of descriptors over a socket.
pub(crate) fn send_descriptors(
    socket: BorrowedFd<'_>,
    descriptors: [BorrowedFd<'_>; DESCRIPTORS],
) -> io::Result<()> {
    let raw: [RawFd; DESCRIPTORS] = descriptors.map(|fd| fd.as_raw_fd());
    let bytes = size_of_val(&raw);
    let mut byte = [1u8];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = ControlBuffer([0; 64]);
    // SAFETY: an all-zero msghdr is valid; its pointers are set to buffers that outlive the call,
    // the control buffer is aligned and larger than CMSG_SPACE of four descriptors, and exactly the
    // descriptors' bytes are copied into it.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(bytes as u32) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(bytes as u32) as usize;
        std::ptr::copy_nonoverlapping(raw.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), bytes);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives the descriptors of [`send_descriptors`]; `None` at the end of the socket.
pub(crate) fn receive_descriptors(
    socket: BorrowedFd<'_>,
) -> io::Result<Option<[OwnedFd; DESCRIPTORS]>> {
    let mut byte = [0u8];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = ControlBuffer([0; 64]);
    let mut raw = [-1 as RawFd; DESCRIPTORS];
    let bytes = size_of_val(&raw);
    // SAFETY: as in `send_descriptors`; the descriptors are read only if the header shows that all
    // of them have arrived.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        let received = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
        if received < 0 {
            return Err(io::Error::last_os_error());
        }
        if received == 0 {
            return Ok(None);
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null()
            || (*header).cmsg_type != libc::SCM_RIGHTS
            || (*header).cmsg_len != libc::CMSG_LEN(bytes as u32) as usize
        {
            return Err(missing_descriptors());
        }
        std::ptr::copy_nonoverlapping(
            libc::CMSG_DATA(header),
            raw.as_mut_ptr().cast::<u8>(),
            bytes,
        );
        Ok(Some(raw.map(|fd| OwnedFd::from_raw_fd(fd))))
    }
}

/// The error for a message that does not contain all descriptors.
fn missing_descriptors() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "message without four descriptors")
}

/// Shuts both directions of a socket down, so that a thread blocked on it returns.
pub(crate) fn end_socket(socket: BorrowedFd<'_>) {
    // SAFETY: plain call on an open descriptor.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Makes the process of `command` inherit these descriptors under the same numbers. The caller
/// keeps them open until it has spawned.
pub(crate) fn inherit(command: &mut Command, descriptors: &[RawFd]) {
    let descriptors = descriptors.to_vec();
    // SAFETY: between fork and exec only fcntl is called, which is async-signal-safe; the vector
    // was allocated before the fork.
    unsafe {
        command.pre_exec(move || {
            for fd in &descriptors {
                check(libc::fcntl(*fd, libc::F_SETFD, 0))?;
            }
            Ok(())
        });
    }
}

/// Gives this process a lower priority than others of the user.
pub(crate) fn lower_priority() {
    // SAFETY: plain call; failure leaves the priority unchanged.
    unsafe { libc::nice(10) };
}

/// Sets the nice level of a process of this user.
pub(crate) fn set_nice(pid: u32, level: i32) {
    // SAFETY: plain call; failure leaves the priority unchanged.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, pid, level) };
}

/// Limits the private memory of a process of this user.
pub(crate) fn limit_data(pid: u32, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    let Ok(pid) = i32::try_from(pid) else { return };
    // SAFETY: the limit is valid during the call, and the null pointer means that the old one is
    // not wanted.
    unsafe { libc::prlimit(pid, libc::RLIMIT_DATA, &raw const limit, std::ptr::null_mut()) };
}

/// Exits without running destructors.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: plain call.
    unsafe { libc::_exit(status) }
}

/// Replaces this process's standard error by a copy of another descriptor.
pub(crate) fn replace_stderr(with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: plain call on an open descriptor; the number 2 stays open.
    check(unsafe { libc::dup2(with.as_raw_fd(), libc::STDERR_FILENO) })
}

/// Replaces this process's standard input by a copy of another descriptor.
pub(crate) fn replace_stdin(with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: plain call on an open descriptor; the number 0 stays open.
    check(unsafe { libc::dup2(with.as_raw_fd(), libc::STDIN_FILENO) })
}

/// Marks a descriptor as close-on-exec, so that programs started by the child do not hold it open.
pub(crate) fn close_on_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: plain call on an open descriptor.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })
}

/// Takes ownership of an inherited descriptor.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain query; fails for a number that is not open.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: it is open, and the parent passed it to this process for this purpose only.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Blocks until a child process has ended without reaping it, so that its pid is not reused.
pub(crate) fn wait_for_end(pid: u32) {
    loop {
        // SAFETY: an all-zero siginfo_t is valid and the call only writes into it.
        let result = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT)
        };
        if result == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// Blocks until `fd` is readable or at its end; returns false after `limit`.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, limit: Option<Duration>) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let limit = limit.map_or(-1, |limit| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX));
    loop {
        // SAFETY: one entry, and the count says one.
        let ready = unsafe { libc::poll(&raw mut entry, 1, limit) };
        if ready >= 0 {
            return Ok(ready > 0);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Writes all bytes to a descriptor without std's buffers.
pub(crate) fn write_raw(number: RawFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: pointer and length are those of the slice.
        let written = unsafe { libc::write(number, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Sets an environment variable of this process, or removes it if `value` is `None`.
///
/// # Safety
/// No other thread reads or writes the environment meanwhile, except through [`mod@std::env`],
/// which locks it.
pub(crate) unsafe fn set_environment(name: &str, value: Option<&std::ffi::OsStr>) {
    // SAFETY: the caller promises it.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn descriptors_arrive_open() {
        let (left, right) = message_pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let other = File::open("/dev/null").unwrap();
        send_descriptors(
            left.as_fd(),
            [other.as_fd(), writer.as_fd(), other.as_fd(), other.as_fd()],
        )
        .unwrap();
        drop(writer);
        let [_, passed, _, _] = receive_descriptors(right.as_fd()).unwrap().unwrap();
        File::from(passed).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn a_closed_socket_ends_the_receiver() {
        let (left, right) = message_pair().unwrap();
        drop(left);
        assert!(receive_descriptors(right.as_fd()).unwrap().is_none());
    }

    #[test]
    fn waiting_for_the_end_does_not_reap_the_process() {
        let mut child = Command::new("true").spawn().unwrap();
        wait_for_end(child.id());
        assert!(child.wait().unwrap().success());
    }
}
