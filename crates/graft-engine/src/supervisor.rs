//! Supervises the child process: spawns it, reads its streams, restarts it, and tracks pending
//! requests.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use graft_prebuilt::{PrebuiltLibrary, process};
use graft_protocol::{Command, Reply, ToChild, frame};
use graft_spec::Failure;
use tokio::sync::oneshot;

use crate::attachment::Attachment;
use crate::cell_status::CellStatus;
use crate::child_exit::{Cause, ChildExit};
use crate::child_process::{ChildCommand, ChildEnvironment};
use crate::control;
use crate::shared_state::{SharedState, lock};
use crate::stderr_tail::StderrTail;
pub(crate) use relays::take_relays;
use stream_barrier::StreamBarrier;

mod child_link;
mod child_loop;
mod input_requests;
mod relays;
mod stream_barrier;
mod stream_pump;
#[cfg(test)]
mod tests;

/// Longest delay of an instruction from evcxr until a new child is ready.
const NEW_CHILD_TIMEOUT: Duration = Duration::from_secs(10);

/// The hint of a failure to start the child.
const START_HINT: &str = "`graft doctor` shows what is missing; restart the kernel afterwards";

/// The result of a command.
type Outcome = Result<Reply, Failure>;

/// Replaces the locations in panic reports by places in cells.
pub(crate) type PanicLocator = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Owns the child. There is at most one at a time.
pub(crate) struct Supervisor {
    shared: Arc<SharedState>,
    command: Mutex<ChildCommand>,
    state: Mutex<ChildState>,
    changed: Condvar,
    environment: Mutex<ChildEnvironment>,
    pending: Mutex<BTreeMap<u64, oneshot::Sender<Outcome>>>,
    drains: Mutex<BTreeMap<u64, Drain>>,
    drain_number: AtomicU64,
    request_number: AtomicU64,
    cell: Mutex<CellStatus>,
    /// The end of the running cell's standard error.
    tail: Mutex<StderrTail>,
    panic_locator: Mutex<Option<PanicLocator>>,
    barrier: StreamBarrier,
}

#[derive(Default)]
struct ChildState {
    live: Option<LiveChild>,
    /// Number of children so far.
    generation: u64,
    attachment: Option<Attachment>,
    /// Messages for the next child.
    backlog: Vec<ToChild>,
    /// Why the host is ending the child; set before the signal is sent.
    cause: Option<Cause>,
    last_exit: Option<ChildExit>,
    /// Number of the last interrupt sent.
    interrupt: u64,
    /// Interrupts up to this number concern earlier work.
    interrupts_before: u64,
    /// Whether a job has acknowledged a later interrupt.
    acknowledged: bool,
    /// Why no further child is started: the host shuts down, or children exit before they are
    /// ready.
    ended: Option<String>,
}

struct LiveChild {
    pid: u32,
    link: Sender<ToChild>,
    control: UnixStream,
    ready: bool,
}

/// A caller that is notified after the sentinels of both streams.
struct Drain {
    missing: u8,
    done: oneshot::Sender<()>,
}

impl Supervisor {
    /// Starts the first child, on a thread that restarts it until the host shuts down.
    pub(crate) fn start(
        shared: Arc<SharedState>,
        command: ChildCommand,
        environment: ChildEnvironment,
    ) -> Arc<Self> {
        let supervisor = Arc::new(Self {
            shared,
            command: Mutex::new(command),
            state: Mutex::default(),
            changed: Condvar::new(),
            environment: Mutex::new(environment),
            pending: Mutex::default(),
            drains: Mutex::default(),
            drain_number: AtomicU64::new(1),
            request_number: AtomicU64::new(1),
            cell: Mutex::default(),
            tail: Mutex::default(),
            panic_locator: Mutex::default(),
            barrier: StreamBarrier::default(),
        });
        let running = Arc::clone(&supervisor);
        std::thread::spawn(move || running.run());
        supervisor
    }

    /// Sets the library that the next children open.
    pub(crate) fn use_library(&self, library: PrebuiltLibrary) {
        lock(&self.command).prebuilt = library;
    }

    /// Sends a command. The receiver gets its outcome even if the child dies.
    pub(crate) fn request(&self, command: Command) -> oneshot::Receiver<Outcome> {
        let id = self.request_number.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        // `reap` takes the same lock: a command either belongs to the dead child and fails with it,
        // or goes to the next one.
        let state = lock(&self.state);
        lock(&self.pending).insert(id, sender);
        self.pass(state, ToChild::Request { id, command });
        receiver
    }

    /// Sends a message to the child, or queues it for the next one.
    fn send(&self, message: ToChild) {
        self.pass(lock(&self.state), message);
    }

    fn pass(&self, mut state: MutexGuard<'_, ChildState>, message: ToChild) {
        if let Some(reason) = state.ended.clone() {
            drop(state);
            return self.fail_all(&Failure::new("engine::child", reason).hint(START_HINT));
        }
        match &state.live {
            // If the link has just broken, `reap` answers all pending requests.
            Some(live) => drop(live.link.send(message)),
            // The job to stop has ended with its child; the message must not stop a job of the next
            // one.
            None if matches!(message, ToChild::Interrupt { .. } | ToChild::StopAll) => {}
            None => state.backlog.push(message),
        }
    }

    /// Sets or removes an environment variable of this child and the next ones.
    pub(crate) fn set_env(&self, name: &str, value: Option<&str>) {
        lock(&self.environment).variables.insert(name.to_owned(), value.map(str::to_owned));
        self.send(ToChild::Environment { name: name.to_owned(), value: value.map(str::to_owned) });
    }

    /// Sets the working directory of this child and the next ones.
    pub(crate) fn set_cwd(&self, path: &Path) {
        lock(&self.environment).cwd = Some(path.to_owned());
        self.send(ToChild::Directory { path: path.display().to_string() });
    }

    /// Asks the running job to stop.
    pub(crate) fn interrupt(&self) {
        let mut state = lock(&self.state);
        state.interrupt += 1;
        let number = state.interrupt;
        self.pass(state, ToChild::Interrupt { number });
    }

    /// Marks the start of new work: acknowledgements of the interrupts so far do not concern it.
    pub(crate) fn forget_interrupts(&self) {
        let mut state = lock(&self.state);
        state.interrupts_before = state.interrupt;
        state.acknowledged = false;
    }

    /// Asks all jobs to stop, including those in the background.
    pub(crate) fn stop_all(&self) {
        self.send(ToChild::StopAll);
    }

    /// Whether a job has acknowledged an interrupt of the current work.
    pub(crate) fn is_acknowledged(&self) -> bool {
        lock(&self.state).acknowledged
    }

    /// Whether the child is ready and runs a cell or a command.
    pub(crate) fn is_at_work(&self) -> bool {
        let is_ready = lock(&self.state).live.as_ref().is_some_and(|live| live.ready);
        is_ready && (self.cell().executing || !lock(&self.pending).is_empty())
    }

    /// Kills the child; [`Self::run`] then starts the next one.
    pub(crate) fn kill(&self, cause: Cause) {
        let mut state = lock(&self.state);
        if cause == Cause::Shutdown {
            state.ended = Some("the kernel is shutting down".to_owned());
        }
        if let Some(live) = &state.live {
            let pid = live.pid;
            // The first cause is the one reported to the user.
            state.cause.get_or_insert(cause);
            // `reap` reaps the process only after it has taken `live` under this lock, so the
            // pid is still the child's.
            process::signal(pid, libc::SIGKILL);
        }
    }

    /// Blocks until a child is ready; returns false after `limit`.
    pub(crate) fn wait_ready(&self, limit: Duration) -> bool {
        let state = lock(&self.state);
        let is_waiting = |state: &mut ChildState| {
            state.ended.is_none() && !state.live.as_ref().is_some_and(|live| live.ready)
        };
        match self.changed.wait_timeout_while(state, limit, is_waiting) {
            Ok((state, _)) => state.live.as_ref().is_some_and(|live| live.ready),
            Err(_) => false,
        }
    }

    /// Blocks until the child has been reaped, at most for `limit`.
    pub(crate) fn wait_gone(&self, limit: Duration) {
        let state = lock(&self.state);
        drop(self.changed.wait_timeout_while(state, limit, |state| state.live.is_some()));
    }

    /// How the last child ended.
    pub(crate) fn last_exit(&self) -> Option<ChildExit> {
        lock(&self.state).last_exit.clone()
    }

    /// The state of the running cell.
    pub(crate) fn cell(&self) -> MutexGuard<'_, CellStatus> {
        lock(&self.cell)
    }

    /// Sets the function that rewrites panic reports in standard error.
    pub(crate) fn set_panic_locator(&self, locator: PanicLocator) {
        *lock(&self.panic_locator) = Some(locator);
    }

    /// Asks the child for a sentinel in both streams. The receiver is notified when both have been
    /// read; `None` without a child.
    pub(crate) fn drain(&self) -> Option<oneshot::Receiver<()>> {
        let number = self.drain_number.fetch_add(1, Ordering::Relaxed);
        let (done, receiver) = oneshot::channel();
        lock(&self.drains).insert(number, Drain { missing: 2, done });
        if self.control(&control::ToChild::Drain { number }) {
            return Some(receiver);
        }
        lock(&self.drains).remove(&number);
        None
    }

    /// Takes a new relay of evcxr.
    pub(crate) fn attach(&self, attachment: Attachment) {
        lock(&self.state).attachment = Some(attachment);
    }

    /// Ends the current relay.
    pub(crate) fn detach_all(&self) {
        let attachment = lock(&self.state).attachment.take();
        drop(attachment);
    }

    /// Whether relay `number` is the current one.
    pub(crate) fn is_attached(&self, number: u64) -> bool {
        lock(&self.state).attachment.as_ref().is_some_and(|attachment| attachment.number == number)
    }

    /// The number of children so far.
    pub(crate) fn generation(&self) -> u64 {
        lock(&self.state).generation
    }

    /// Drops relay `number`, which evcxr has closed.
    pub(crate) fn detach(&self, number: u64) {
        let mut state = lock(&self.state);
        if state.attachment.as_ref().is_some_and(|attachment| attachment.number == number) {
            state.attachment = None;
        }
    }

    /// Sends a compiled cell to the child, or to the next one if there is none. Returns false if
    /// none becomes ready.
    pub(crate) fn run_cell(&self, library: &str, function: &str) -> bool {
        if !self.wait_ready(NEW_CHILD_TIMEOUT) {
            return false;
        }
        self.cell().begin();
        let is_sent = self.control(&control::ToChild::Run {
            library: library.to_owned(),
            function: function.to_owned(),
        });
        if !is_sent {
            // The child has died since it was ready, so no cell runs.
            self.cell().executing = false;
        }
        is_sent
    }

    /// Sends a message over the control socket; returns false without a child.
    fn control(&self, message: &control::ToChild) -> bool {
        let state = lock(&self.state);
        state
            .live
            .as_ref()
            .is_some_and(|live| frame::write(&mut &live.control, message, &[]).is_ok())
    }

    fn fail_all(&self, failure: &Failure) {
        for (_, waiting) in std::mem::take(&mut *lock(&self.pending)) {
            let _ = waiting.send(Err(failure.clone()));
        }
    }
}
