//! `graft child`: the process that holds the session and runs the compiled cells.
//!
//! It opens the template's `libgraft.so` before anything else, so that magics work milliseconds after the start, and then runs cells
//! on its main thread. Its standard streams belong to the cells: what the host has to say comes over the control socket, and how a
//! cell has ended goes back over the session's link.
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
use graft_protocol::mark::Marks;

use crate::control::{FromChild, ToChild};
use crate::unix;
use cells::Cell;
use input::Input;

/// Exit status when the library cannot be opened or refuses to start.
pub(crate) const STATUS_NO_LIBRARY: i32 = 98;

/// For how long the session may go on when the host is gone.
const MOST_LAST_WORDS: Duration = Duration::from_secs(8);

/// `graft_boot(link, identity, secret)` of the facade.
type Boot = unsafe extern "C" fn(i32, *const c_char, *const c_char) -> i32;
/// `graft_flush()` of the facade: writes out what the cells' copy of std has buffered. `graft_cell_ended()`: reports how a cell ended.
type Call = unsafe extern "C" fn();

/// The facade's functions.
#[derive(Clone, Copy)]
struct Facade {
    flush: Call,
    cell_ended: Call,
}

/// The way back to the host; clones share it.
#[derive(Clone)]
struct Host(Arc<Mutex<UnixStream>>);

impl Host {
    /// Tells the host; one that is gone needs nothing.
    fn tell(&self, message: &FromChild) {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = frame::write(&mut *socket, message, &[]);
    }
}

/// Runs the child; `arguments` are link, control, library and identity. Returns only when it cannot start or the host is gone.
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
    let [link, control, library, identity] = arguments else {
        return Err(
            "graft child takes a link, a control socket, a library and an identity".to_owned()
        );
    };
    let link = descriptor(link)?;
    let control = UnixStream::from(descriptor(control)?);
    let host = Host(Arc::new(Mutex::new(control.try_clone().map_err(|error| error.to_string())?)));
    let mut control = BufReader::new(control);
    let Ok(Some((ToChild::Begin { secret }, _))) = frame::read(&mut control) else {
        return Err("the host said nothing".to_owned());
    };
    let facade = open(library, link, identity, &secret)?;
    let input =
        Arc::new(Input::new().map_err(|error| format!("no pipe for standard input: {error}"))?);
    let (watched, told) = (Arc::clone(&input), host.clone());
    std::thread::spawn(move || watched.watch(&|| told.tell(&FromChild::WantsInput)));
    let (sender, cells) = channel();
    let lines = Arc::clone(&input);
    std::thread::spawn(move || listen(control, facade, &Marks::new(&secret), &lines, &sender));
    Ok((facade, input, host, cells))
}

/// Opens the facade and has it open the session.
fn open(library: &str, link: OwnedFd, identity: &str, secret: &str) -> Result<Facade, String> {
    let text = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let (identity, secret) = (text(identity)?, text(secret)?);
    // SAFETY: the library is the template's, whose initialisers are Rust's own.
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
    // SAFETY: the link is open and from here on the facade's; both texts live until the call returns.
    let status = unsafe { boot(link.into_raw_fd(), identity.as_ptr(), secret.as_ptr()) };
    if status == 0 {
        Ok(facade)
    } else {
        Err(format!("the session did not start (status {status})"))
    }
}

/// Does what the host says, until it is gone.
fn listen(
    mut control: BufReader<UnixStream>,
    facade: Facade,
    marks: &Marks,
    input: &Input,
    cells: &Sender<Cell>,
) {
    // On a thread of its own: a cell may hold a stream's lock while it waits for the line that arrives here.
    let (drains, numbers) = channel::<u64>();
    let marks = marks.clone();
    std::thread::spawn(move || {
        numbers.iter().for_each(|number| drain(facade, &marks.bytes(number)))
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
    // The session lets its job write a checkpoint and ends the process; a cell that never ends must not outlive that.
    std::thread::sleep(MOST_LAST_WORDS);
    unix::exit_now(0);
}

/// Flushes what cells have printed and puts a mark behind it in both streams.
fn drain(facade: Facade, mark: &[u8]) {
    flush(facade);
    unix::write_raw(std::io::stdout().as_fd().as_raw_fd(), mark);
    unix::write_raw(std::io::stderr().as_fd().as_raw_fd(), mark);
}

/// Flushes what cells have printed, from Rust and from C.
fn flush(facade: Facade) {
    // SAFETY: the facade's function takes nothing and only flushes.
    unsafe { (facade.flush)() };
    // SAFETY: a null stream means all of C's streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

fn descriptor(text: &str) -> Result<OwnedFd, String> {
    let number = text.parse().map_err(|_| format!("`{text}` is no descriptor"))?;
    let fd = unix::inherited(number).map_err(|error| format!("descriptor {number}: {error}"))?;
    unix::close_on_exec(fd.as_fd()).map_err(|error| error.to_string())?;
    Ok(fd)
}
