//! The child's end of the link: receives requests, and sends replies, events and snapshots.
//!
//! Reading and writing each have a thread. Only the writing thread writes to the socket, so a host
//! that reads slowly never delays training (see [`outbox`]).

mod environment;
mod outbox;
mod stream_barrier;

use std::{
    io::{self, BufReader},
    os::unix::net::UnixStream,
    sync::Arc,
};

use graft_protocol::{Event, FromChild, PROTOCOL_VERSION, Snapshot, ToChild, frame};
use graft_session::{Session, Sink};

use outbox::Outbox;
pub(crate) use stream_barrier::{barrier, enable as enable_barriers, report};

/// Opens a session on this end of the link, greets the host, and serves it on two threads until the
/// host closes its end; then calls `closed`. Also returns the queue of outgoing messages, for
/// [`enable_barriers`].
///
/// # Errors
/// If the socket cannot be duplicated or a thread cannot be started.
pub(crate) fn serve(
    stream: UnixStream,
    identity: &str,
    closed: impl FnOnce(&Session) + Send + 'static,
) -> io::Result<(Arc<Session>, Arc<Outbox>)> {
    let outbox = Arc::new(Outbox::default());
    outbox.push(FromChild::Ready {
        protocol: PROTOCOL_VERSION,
        pid: std::process::id(),
        identity: identity.to_owned(),
    });
    let session = Session::new(outbox.clone());
    let mut writing_end = stream.try_clone()?;
    let (queue, link) = (outbox.clone(), outbox.clone());
    thread("graft-link-out", move || {
        queue.drain(|message| frame::write(&mut writing_end, message, &[]))
    })?;
    let served = session.clone();
    thread("graft-link-in", move || {
        if let Err(error) = receive(&served, &outbox, BufReader::new(stream)) {
            eprintln!("graft: lost the connection to the host: {error}");
        }
        outbox.close();
        closed(&served);
    })?;
    Ok((session, link))
}

impl Sink for Outbox {
    fn event(&self, request: Option<u64>, event: Event) {
        self.push(FromChild::Event { request, event });
    }

    fn snapshot(&self, snapshot: Snapshot) {
        self.push(FromChild::Snapshot(snapshot));
    }
}

fn receive(
    session: &Session,
    outbox: &Arc<Outbox>,
    mut stream: BufReader<UnixStream>,
) -> io::Result<()> {
    while let Some((message, _)) = frame::read::<ToChild>(&mut stream)? {
        match message {
            ToChild::Request { id, command } => {
                let outbox = outbox.clone();
                session.submit(
                    Some(id),
                    command,
                    Box::new(move |result| outbox.push(FromChild::Reply { id, result })),
                );
            }
            ToChild::Interrupt { number } => {
                outbox.push(FromChild::InterruptSeen { number, job: session.interrupt() })
            }
            ToChild::StopAll => session.stop_all(),
            ToChild::Environment { name, value } => set_variable(&name, value.as_deref()),
            ToChild::Directory { path } => change_directory(session, &path),
        }
    }
    Ok(())
}

/// Executes `%env` and `:env`.
#[allow(unsafe_code)]
fn set_variable(name: &str, value: Option<&str>) {
    // SAFETY: the session reads the environment only through std, and C libraries usually read it
    // when they are loaded. A cell with C code that calls `getenv` on another thread at this moment
    // races with `%env`, just as it would with its own `set_var`, which Rust marks as `unsafe`.
    unsafe { environment::set(name, value) };
}

fn change_directory(session: &Session, path: &str) {
    match std::env::set_current_dir(path) {
        Ok(()) => session.refresh_runs(),
        Err(error) => {
            let text = format!("could not change the directory to `{path}`: {error}");
            session.emit(Event::Note { level: graft_protocol::Level::Warning, text });
        }
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
