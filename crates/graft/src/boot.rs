//! The entry points of the shared library: the host's child process opens the session here.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char},
    io::Write,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    panic::catch_unwind,
    time::Duration,
};

use graft_protocol::sentinel::Sentinels;
use graft_session::Session;

use crate::{Lab, link};

/// Success.
const OK: i32 = 0;
/// The descriptor is not open.
const BAD_DESCRIPTOR: i32 = 1;
/// This process has a session already.
const ALREADY_OPEN: i32 = 2;
/// A thread could not be started, or a panic.
const FAILED: i32 = 3;

/// Time for a job to stop and write its checkpoint after the host has closed the link.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval between flushes of standard output, so that prints appear while the cell runs.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// Opens the session of this process on the link `link_fd`, an open stream socket that the session
/// then owns. Returns 0 for success. `secret` is the shared secret of the sentinels in standard
/// output. When the host closes the link, the running job is stopped and the process exits.
///
/// # Safety
/// `identity` and `secret` must each be null or point to a zero-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graft_boot(
    link_fd: i32,
    identity: *const c_char,
    secret: *const c_char,
) -> i32 {
    // SAFETY: the caller guarantees it for both pointers.
    let (identity, secret) = unsafe { (text(identity), text(secret)) };
    catch_unwind(|| boot(link_fd, &identity, &secret)).unwrap_or(FAILED)
}

/// The text at a pointer.
///
/// # Safety
/// `text` must be null or point to a zero-terminated string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: `text` is not null, so the caller guarantees a zero-terminated string.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Flushes the standard output of the cells. The program that opened this library has its own copy
/// of the standard library and cannot reach this buffer.
#[unsafe(no_mangle)]
pub extern "C" fn graft_flush() {
    drop(std::io::stdout().flush());
}

/// Reports how the last cell ended. The program that runs the compiled cells calls it after each.
#[unsafe(no_mangle)]
pub extern "C" fn graft_cell_ended() {
    link::report(crate::cell_end::take());
}

fn boot(link_fd: i32, identity: &str, secret: &str) -> i32 {
    graft_nn::tune_process();
    graft_font::register();
    // SAFETY: F_GETFD only queries the descriptor.
    if link_fd < 0 || unsafe { libc::fcntl(link_fd, libc::F_GETFD) } < 0 {
        return BAD_DESCRIPTOR;
    }
    // SAFETY: the descriptor is open, and the caller transfers its ownership.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(link_fd) });
    close_on_exec(link_fd);
    let Ok((session, outgoing)) = link::serve(stream, identity, end) else { return FAILED };
    if !Lab::install(session) {
        return ALREADY_OPEN;
    }
    link::enable_barriers(outgoing, Sentinels::new(secret));
    let flushing = std::thread::Builder::new().name("graft-flush".to_owned()).spawn(flush);
    if flushing.is_ok() { OK } else { FAILED }
}

/// Keeps programs that a cell starts from holding the link open after this process.
fn close_on_exec(link_fd: i32) {
    // SAFETY: F_SETFD only sets a flag of the descriptor.
    unsafe { libc::fcntl(link_fd, libc::F_SETFD, libc::FD_CLOEXEC) };
}

fn flush() {
    loop {
        std::thread::sleep(FLUSH_INTERVAL);
        // If standard output is closed, the loop continues: the host attaches another one.
        graft_flush();
    }
}

/// Stops the running job, which saves its checkpoint, and ends the process.
fn end(session: &Session) {
    session.stop_all();
    session.wait_until_idle(SHUTDOWN_TIMEOUT);
    graft_flush();
    // SAFETY: `_exit` has no preconditions. It skips destructors, which must not run while other
    // threads may still execute cells and jobs.
    unsafe { libc::_exit(0) }
}
