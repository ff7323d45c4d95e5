//! `graft child`: the process that holds the session and runs the compiled cells.
//!
//! It opens the prebuilt `libgraft.so` first, so that magics work milliseconds after the start, and
//! then runs cells on its main thread. Its standard streams belong to the cells. The host sends
//! instructions over the control socket, and the end of a cell is reported over the link of the
//! session.
#![allow(unsafe_code)]

mod cells;
mod input;
mod stdin_wait;

use std::ffi::{CString, c_char};
use std::io::BufReader;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graft_protocol::frame;
use graft_protocol::sentinel::Sentinels;

use crate::control::{FromChild, ToChild};
use crate::unix;
use cells::Cell;
use input::Input;

/// Exit status when the library cannot be opened or fails to start.
const STATUS_NO_LIBRARY: i32 = 98;

/// How long the session may run after the host has ended.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);

/// `graft_boot(link, fingerprint, secret)` of the facade.
type Boot = unsafe extern "C" fn(i32, *const c_char, *const c_char) -> i32;
/// `graft_flush()` of the facade, which flushes the output that the cells' copy of std has
/// buffered, and `graft_cell_ended()`, which reports the end of a cell.
type Call = unsafe extern "C" fn();

/// The functions of the facade.
#[derive(Clone, Copy)]
struct Facade {
    flush: Call,
    cell_ended: Call,
}

/// The control socket to the host; clones share it.
#[derive(Clone)]
struct Host(Arc<Mutex<UnixStream>>);

impl Host {
    /// Sends a message. A host that has ended is ignored.
    fn send(&self, message: &FromChild) {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = frame::write(&mut *socket, message, &[]);
    }
}

/// Runs the child with the arguments after `graft child`: link, control socket, library and
/// fingerprint. Returns only if it cannot start or the host has ended.
pub fn run(arguments: &[String]) -> i32 {
    match start(arguments) {
        Ok((facade, input, host, cells)) => cells::run(&cells, facade, &input, &host),
        Err(reason) => {
            eprintln!("{reason}");
            STATUS_NO_LIBRARY
        }
    }
}

fn start(arguments: &[String]) -> Result<(Facade, Arc<Input>, Host, Receiver<Cell>), String> {
    let [link, control, library, fingerprint] = arguments else {
        return Err(
            "`graft child` takes a link, a control socket, a library and a fingerprint".to_owned()
        );
    };
    let link = descriptor(link)?;
    let control = UnixStream::from(descriptor(control)?);
    let host = Host(Arc::new(Mutex::new(control.try_clone().map_err(|error| error.to_string())?)));
    let mut control = BufReader::new(control);
    let Ok(Some((ToChild::Begin { secret }, _))) = frame::read(&mut control) else {
        return Err("the host sent no first message".to_owned());
    };
    let facade = open(library, link, fingerprint, &secret)?;
    let input =
        Arc::new(Input::new().map_err(|error| format!("no pipe for standard input: {error}"))?);
    let watched = Arc::clone(&input);
    let asked = host.clone();
    std::thread::spawn(move || watched.watch(&|| asked.send(&FromChild::WantsInput)));
    let (sender, cells) = channel();
    let lines = Arc::clone(&input);
    std::thread::spawn(move || listen(control, facade, &Sentinels::new(&secret), &lines, &sender));
    Ok((facade, input, host, cells))
}

/// Opens the facade, which starts the session.
fn open(library: &str, link: OwnedFd, fingerprint: &str, secret: &str) -> Result<Facade, String> {
    let text = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let (fingerprint, secret) = (text(fingerprint)?, text(secret)?);
    // SAFETY: the library is the prebuilt one, which has only Rust's own initializers.
    let opened = unsafe { libloading::Library::new(library) }
        .map_err(|error| format!("cannot open {library}: {error}"))?;
    // SAFETY: the facade exports these symbols with these signatures; the library is never closed.
    let (boot, facade) = unsafe {
        let boot: Boot = *opened.get(b"graft_boot").map_err(|error| error.to_string())?;
        let flush: Call = *opened.get(b"graft_flush").map_err(|error| error.to_string())?;
        let cell_ended: Call =
            *opened.get(b"graft_cell_ended").map_err(|error| error.to_string())?;
        (boot, Facade { flush, cell_ended })
    };
    std::mem::forget(opened);
    // SAFETY: the link is open and now owned by the facade; both texts live until the call returns.
    let status = unsafe { boot(link.into_raw_fd(), fingerprint.as_ptr(), secret.as_ptr()) };
    if status == 0 {
        Ok(facade)
    } else {
        Err(format!("the session failed to start (status {status})"))
    }
}

/// Handles the messages of the host until it ends.
fn listen(
    mut control: BufReader<UnixStream>,
    facade: Facade,
    sentinels: &Sentinels,
    input: &Input,
    cells: &Sender<Cell>,
) {
    // Drains run on a thread of their own: a cell may hold the lock of a stream while it reads
    // the input that arrives here.
    let (drains, numbers) = channel::<u64>();
    let sentinels = sentinels.clone();
    std::thread::spawn(move || {
        numbers.iter().for_each(|number| drain(facade, &sentinels.bytes(number)))
    });
    while let Ok(Some((message, _))) = frame::read(&mut control) {
        match message {
            ToChild::Begin { .. } => {}
            // Both threads live as long as the process.
            ToChild::Drain { number } => drop(drains.send(number)),
            ToChild::Run { library, function } => drop(cells.send(Cell { library, function })),
            ToChild::Input { line } => input.answer(line),
        }
    }
    // The session lets its job write a checkpoint and ends the process. A cell that never returns
    // must not outlive that.
    std::thread::sleep(SHUTDOWN_TIMEOUT);
    unix::exit_now(0);
}

/// Flushes the output of the cells and writes a sentinel after it to both streams.
fn drain(facade: Facade, sentinel: &[u8]) {
    flush(facade);
    unix::write_raw(std::io::stdout().as_fd().as_raw_fd(), sentinel);
    unix::write_raw(std::io::stderr().as_fd().as_raw_fd(), sentinel);
}

/// Flushes the output of the cells, of Rust code and of C code.
fn flush(facade: Facade) {
    // SAFETY: the facade's function takes no arguments and only flushes.
    unsafe { (facade.flush)() };
    // SAFETY: a null stream means all streams of C.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

fn descriptor(text: &str) -> Result<OwnedFd, String> {
    let number = text.parse().map_err(|_| format!("`{text}` is not a descriptor"))?;
    let fd = unix::inherited(number).map_err(|error| format!("descriptor {number}: {error}"))?;
    unix::close_on_exec(fd.as_fd()).map_err(|error| error.to_string())?;
    Ok(fd)
}
