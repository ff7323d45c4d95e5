//! Processes: signals, children that end with their parent, the current user.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Sends SIGTERM to the process of `command` when the thread that starts it ends. A process in a
/// group of its own does not receive the Ctrl-C that ends this program.
pub fn end_with_starter(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0.. => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// The effective user id of this process.
pub fn user() -> u32 {
    // SAFETY: the call takes no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// Sends a signal to a process. The caller has started it and not yet waited for it, so its number
/// belongs to no other process.
pub fn signal(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: kill takes two integers and accesses no memory.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Sends a signal to the process group of `leader`; does nothing if the group no longer exists.
pub fn signal_group(leader: u32, signal: i32) {
    let Ok(leader) = i32::try_from(leader) else { return };
    // SAFETY: kill takes two integers and accesses no memory.
    unsafe {
        libc::kill(-leader, signal);
    }
}
