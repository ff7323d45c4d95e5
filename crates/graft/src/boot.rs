//! How the host's child opens the session: one exported function of the shared library.
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

use graft_protocol::mark::Marks;
use graft_session::Session;

use crate::{Lab, link};

/// Everything went well.
const OK: i32 = 0;
/// The descriptor is not an open one.
const BAD_DESCRIPTOR: i32 = 1;
/// This process has a session already.
const ALREADY_OPEN: i32 = 2;
/// A thread could not be started, or a panic.
const FAILED: i32 = 3;

/// How long a job may take to stop and write its checkpoint when the host is gone.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Print statements of cells must appear while the cell runs.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Opens the session of this process on the link `link_fd` (an open stream socket, which then belongs to the session) and returns:
/// 0 for success. `secret` is that of the marks in standard output. When the host closes the link, the running job is asked to stop
/// and the process ends.
///
/// # Safety
/// `identity` and `secret` are each null or point to a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graft_boot(
    link_fd: i32,
    identity: *const c_char,
    secret: *const c_char,
) -> i32 {
    // SAFETY: the caller promises this of both.
    let (identity, secret) = unsafe { (text(identity), text(secret)) };
    catch_unwind(|| boot(link_fd, &identity, &secret)).unwrap_or(FAILED)
}

/// The text at a pointer.
///
/// # Safety
/// `text` is null or points to a string that ends in a zero byte.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises a string that ends in a zero byte.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Writes out what cells have printed so far: the host calls it before it looks at the streams. The program that opened this library
/// has a standard library of its own and cannot reach the cells' buffer.
#[unsafe(no_mangle)]
pub extern "C" fn graft_flush() {
    drop(std::io::stdout().flush());
}

/// The compiled cell that ran has returned: the host is told how it ended. Called by the program that runs the cells, after each.
#[unsafe(no_mangle)]
pub extern "C" fn graft_cell_ended() {
    link::report(crate::cell_end::take());
}

fn boot(link_fd: i32, identity: &str, secret: &str) -> i32 {
    graft_nn::tune_process();
    graft_font::register();
    // SAFETY: F_GETFD only asks about the descriptor.
    if link_fd < 0 || unsafe { libc::fcntl(link_fd, libc::F_GETFD) } < 0 {
        return BAD_DESCRIPTOR;
    }
    // SAFETY: the descriptor is open, and the caller hands it over.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(link_fd) });
    keep_from_programs(link_fd);
    let Ok((session, outgoing)) = link::serve(stream, identity, end) else { return FAILED };
    if !Lab::install(session) {
        return ALREADY_OPEN;
    }
    link::begin_meetings(outgoing, Marks::new(secret));
    let flushing = std::thread::Builder::new().name("graft-flush".to_owned()).spawn(flush);
    if flushing.is_ok() { OK } else { FAILED }
}

/// A program that a cell starts must not hold the link open after this process.
fn keep_from_programs(link_fd: i32) {
    // SAFETY: F_SETFD only sets the descriptor's flag.
    unsafe { libc::fcntl(link_fd, libc::F_SETFD, libc::FD_CLOEXEC) };
}

fn flush() {
    loop {
        std::thread::sleep(FLUSH_EVERY);
        // A closed stdout is no reason to end: the host attaches the next one.
        graft_flush();
    }
}

/// The host is gone: a running training stops and keeps its checkpoint, then the process ends.
fn end(session: &Session) {
    session.stop_all();
    session.wait_until_idle(LAST_WORDS);
    graft_flush();
    // SAFETY: `_exit` ends the process at once; destructors must not run, since cells and jobs may still be on other threads.
    unsafe { libc::_exit(0) }
}
