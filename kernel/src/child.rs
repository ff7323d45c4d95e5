//! `graft child`: the process that holds the session and runs the compiled cells.
//!
//! It opens the template's `libgraft.so` before anything else, so that magics work milliseconds after the start, and then becomes
//! evcxr's runtime on its main thread. Its standard streams are pipes of the host.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use graft_protocol::mark;

use crate::unix;

/// Exit status when the library cannot be opened or refuses to start.
pub(crate) const STATUS_NO_LIBRARY: i32 = 98;

/// For how long the session may go on when the host is gone.
const MOST_LAST_WORDS: Duration = Duration::from_secs(8);

/// `graft_boot(link, identity)` of the facade.
type Boot = unsafe extern "C" fn(i32, *const c_char) -> i32;
/// `graft_flush()` of the facade: writes out what the cells' copy of std has buffered.
type Flush = unsafe extern "C" fn();

/// Runs the child; `arguments` are link, control, library and identity. Returns only on error.
pub(crate) fn run(arguments: &[String]) -> i32 {
    match start(arguments) {
        Ok(()) => {
            evcxr::runtime_hook();
            0
        }
        Err(reason) => {
            eprintln!("{reason}");
            STATUS_NO_LIBRARY
        }
    }
}

fn start(arguments: &[String]) -> Result<(), String> {
    let [link, control, library, identity] = arguments else {
        return Err("graft child takes a link, a control socket, a library and an identity".to_owned());
    };
    let link = descriptor(link)?;
    let control = descriptor(control)?;
    let identity = CString::new(identity.as_str()).map_err(|error| error.to_string())?;
    // SAFETY: the library is the template's, whose initialisers are Rust's own.
    let opened = unsafe { libloading::Library::new(library) }.map_err(|error| format!("cannot open {library}: {error}"))?;
    // SAFETY: the facade exports both symbols with these signatures; the library is never closed.
    let (boot, flush) = unsafe {
        let boot: Boot = *opened.get(b"graft_boot").map_err(|error| error.to_string())?;
        let flush: Option<Flush> = opened.get(b"graft_flush").ok().map(|symbol| *symbol);
        (boot, flush)
    };
    std::mem::forget(opened);
    // SAFETY: the link is open and from here on the facade's; the identity lives until the call returns.
    let status = unsafe { boot(link.into_raw_fd(), identity.as_ptr()) };
    if status != 0 {
        return Err(format!("the session did not start (status {status})"));
    }
    std::thread::spawn(move || answer_drains(control, flush));
    Ok(())
}

/// For each number that the host sends, flushes what cells have printed and puts a mark with that number behind it in both streams.
fn answer_drains(control: OwnedFd, flush: Option<Flush>) {
    let mut control = File::from(control);
    let mut number = [0u8; 8];
    while control.read_exact(&mut number).is_ok() {
        if let Some(flush) = flush {
            // SAFETY: the facade's function takes nothing and only flushes.
            unsafe { flush() };
        }
        // SAFETY: a null stream means all of C's streams.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        let mark = mark::bytes(u64::from_le_bytes(number));
        unix::write_raw(std::io::stdout().as_fd().as_raw_fd(), &mark);
        unix::write_raw(std::io::stderr().as_fd().as_raw_fd(), &mark);
    }
    // The host is gone. The session lets its job write a checkpoint and ends the process; a cell that never ends must not outlive that.
    std::thread::sleep(MOST_LAST_WORDS);
    unix::exit_now(0);
}

fn descriptor(text: &str) -> Result<OwnedFd, String> {
    let number = text.parse().map_err(|_| format!("`{text}` is no descriptor"))?;
    let fd = unix::inherited(number).map_err(|error| format!("descriptor {number}: {error}"))?;
    unix::close_on_exec(fd.as_fd()).map_err(|error| error.to_string())?;
    Ok(fd)
}
