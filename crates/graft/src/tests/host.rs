//! A host at the other end of the link.
#![allow(unsafe_code)]

use std::{
    io::BufReader,
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use graft_protocol::{AdapterAction, Command, Event, FromChild, Reply, Snapshot, ToChild, frame};
use graft_session::Session;
use graft_spec::{Failure, Settings, Value, methods, training};

use super::tiny::{colors, write_model};
use crate::{Lab, link};

/// The host's end of a link, and the session that serves the child's end.
pub(super) struct Host {
    stream: BufReader<UnixStream>,
    session: Arc<Session>,
    theirs: RawFd,
    next: u64,
    pub(super) events: Vec<(Option<u64>, Event)>,
    pub(super) snapshot: Snapshot,
    pub(super) folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// All runs of the process are in one folder, so tests that train run one after another.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    static RUNS: OnceLock<tempfile::TempDir> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runs = RUNS.get_or_init(|| tempfile::tempdir().unwrap());
    // SAFETY: every test that accesses the environment holds the lock.
    unsafe { std::env::set_var("GRAFT_RUNS", runs.path()) };
    turn
}

impl Host {
    /// Opens a link and reads the greeting.
    pub(super) fn new() -> Self {
        let turn = turn();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let their_descriptor = theirs.as_raw_fd();
        let (session, _) = link::serve(theirs, "test", |_| {}).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_model(&folder.path().join("model"), 4);
        let mut host = Self {
            stream: BufReader::new(ours),
            session,
            theirs: their_descriptor,
            next: 0,
            events: Vec::new(),
            snapshot: Snapshot::default(),
            folder,
            _turn: turn,
        };
        let FromChild::Ready { protocol, pid, identity } = host.read() else {
            panic!("no greeting")
        };
        assert_eq!(
            (protocol, pid, identity.as_str()),
            (graft_protocol::PROTOCOL_VERSION, std::process::id(), "test")
        );
        host
    }

    /// A host whose session has a model, data and a LoRA.
    pub(super) fn attached() -> Self {
        let mut host = Self::new();
        let source = host.folder.path().join("model").display().to_string();
        host.run(Command::ModelLoad { source, settings: Settings::default() }).unwrap();
        host.run(Command::DataInline {
            name: "colors".to_owned(),
            text: colors(),
            settings: Settings::default(),
        })
        .unwrap();
        let settings = Settings::default().with("r", Value::Integer(2));
        settings.check(methods::lora::SPEC.keys).unwrap();
        host.run(Command::Adapter {
            method: "lora".to_owned(),
            action: AdapterAction::Attach { settings },
        })
        .unwrap();
        host
    }

    /// The `lab()` of a cell.
    pub(super) fn lab(&self) -> Lab {
        Lab::of(self.session.clone())
    }

    /// Shrinks the buffers at both ends of the socket to the system's minimum.
    pub(super) fn shrink_buffer(&self) {
        let size: libc::c_int = 1;
        for (descriptor, option) in
            [(self.stream.get_ref().as_raw_fd(), libc::SO_RCVBUF), (self.theirs, libc::SO_SNDBUF)]
        {
            // SAFETY: the pointer is valid for the call and has the size of the option, an int.
            let status = unsafe {
                libc::setsockopt(
                    descriptor,
                    libc::SOL_SOCKET,
                    option,
                    (&raw const size).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                )
            };
            assert_eq!(status, 0);
        }
    }

    pub(super) fn read(&mut self) -> FromChild {
        frame::read(&mut self.stream).unwrap().unwrap().0
    }

    pub(super) fn write(&mut self, message: &ToChild) {
        frame::write(self.stream.get_mut(), message, &[]).unwrap();
    }

    pub(super) fn send(&mut self, command: Command) -> u64 {
        self.next += 1;
        let id = self.next;
        self.write(&ToChild::Request { id, command });
        id
    }

    /// Sends a command and reads messages up to its reply.
    pub(super) fn run(&mut self, command: Command) -> Result<Reply, Failure> {
        let id = self.send(command);
        self.reply(id)
    }

    /// Reads messages up to the reply with this number, and keeps the events.
    pub(super) fn reply(&mut self, number: u64) -> Result<Reply, Failure> {
        loop {
            match self.read() {
                FromChild::Reply { id, result } if id == number => return result,
                FromChild::Event { request, event } => self.events.push((request, event)),
                FromChild::Snapshot(snapshot) => self.snapshot = snapshot,
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Reads messages up to an event that matches.
    pub(super) fn wait_for(&mut self, matches: impl Fn(&Event) -> bool) {
        loop {
            if let FromChild::Event { event, .. } = self.read()
                && matches(&event)
            {
                return;
            }
        }
    }
}

/// `%train` with this number of steps and without validation.
pub(super) fn train(steps: i64) -> Command {
    let settings = Settings::default()
        .with("steps", Value::Integer(steps))
        .with("eval_every", Value::Integer(0));
    settings.check(training::TRAIN).unwrap();
    Command::Train { attach: None, settings }
}
