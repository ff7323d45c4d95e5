//! The life of the child: started, listened to, buried and started again; and who waits for what from it.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use graft_protocol::{Command, Reply, ToChild, frame};
use graft_spec::Failure;
use tokio::sync::oneshot;

use super::attachment::Attachment;
use super::cell_status::CellStatus;
use super::child_exit::{Cause, ChildExit};
use super::child_process::{ChildCommand, ChildEnvironment};
use super::shared_state::{SharedState, lock};
use super::stderr_tail::StderrTail;
use crate::control;
use graft_prebuilt::process;
use stream_barrier::StreamBarrier;

mod child_loop;
mod input_requests;
mod stream_barrier;
#[cfg(test)]
mod tests;

/// Longest time for which an instruction of evcxr waits for a new child.
const MOST_WAIT: Duration = Duration::from_secs(10);

/// How a command ended.
type Outcome = Result<Reply, Failure>;

/// The one child and everybody who deals with it.
pub(crate) struct Supervisor {
    shared: Arc<SharedState>,
    command: ChildCommand,
    state: Mutex<State>,
    changed: Condvar,
    environment: Mutex<ChildEnvironment>,
    pending: Mutex<BTreeMap<u64, oneshot::Sender<Outcome>>>,
    drains: Mutex<BTreeMap<u64, Drain>>,
    drain_number: AtomicU64,
    request_number: AtomicU64,
    cell: Mutex<CellStatus>,
    /// The end of the running cell's standard error.
    words: Mutex<StderrTail>,
    barrier: StreamBarrier,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Counts the children.
    generation: u64,
    attachment: Option<Attachment>,
    /// Messages for a child that is not there yet.
    backlog: Vec<ToChild>,
    /// Why the host ended the child, set before it does.
    cause: Option<Cause>,
    last_death: Option<ChildExit>,
    /// Number of the last interrupt that was sent.
    interrupt: u64,
    /// Interrupts up to this number concern what ran before.
    interrupts_before: u64,
    /// Whether a job has said that it stops, for a later interrupt.
    acknowledged: bool,
    /// No more children: the host goes, or they die before they are ready.
    ended: Option<String>,
}

struct Live {
    pid: u32,
    link: Sender<ToChild>,
    control: UnixStream,
    ready: bool,
}

/// Someone waits for the marks of both streams.
struct Drain {
    missing: u8,
    done: oneshot::Sender<()>,
}

impl Supervisor {
    /// Starts the first child, on a thread that keeps one alive until [`Self::end`].
    pub(crate) fn start(
        shared: Arc<SharedState>,
        command: ChildCommand,
        environment: ChildEnvironment,
    ) -> Arc<Self> {
        let supervisor = Arc::new(Self {
            shared,
            command,
            state: Mutex::default(),
            changed: Condvar::new(),
            environment: Mutex::new(environment),
            pending: Mutex::default(),
            drains: Mutex::default(),
            drain_number: AtomicU64::new(1),
            request_number: AtomicU64::new(1),
            cell: Mutex::default(),
            words: Mutex::default(),
            barrier: StreamBarrier::default(),
        });
        let keeper = Arc::clone(&supervisor);
        std::thread::spawn(move || keeper.run());
        supervisor
    }

    /// Sends a command; the receiver gets its end, whatever happens to the child.
    pub(crate) fn request(&self, command: Command) -> oneshot::Receiver<Outcome> {
        let id = self.request_number.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        // Under the lock of the burial: a command is either the dead child's, and fails with it, or the next one's, never both.
        let state = lock(&self.state);
        lock(&self.pending).insert(id, sender);
        self.pass(state, ToChild::Request { id, command });
        receiver
    }

    /// Sends a message to the child, or to the next one if there is none just now.
    pub(crate) fn send(&self, message: ToChild) {
        self.pass(lock(&self.state), message);
    }

    fn pass(&self, mut state: MutexGuard<'_, State>, message: ToChild) {
        if let Some(reason) = state.ended.clone() {
            drop(state);
            return self.fail_all(
                &Failure::new("engine::child", reason)
                    .hint("`graft doctor` says what is missing; restart the kernel then"),
            );
        }
        match &state.live {
            // A link that has just broken belongs to a child whose burial answers everybody who waits.
            Some(live) => drop(live.link.send(message)),
            // What was to be stopped has died; the next child must not stop something else.
            None if matches!(message, ToChild::Interrupt { .. } | ToChild::StopAll) => {}
            None => state.backlog.push(message),
        }
    }

    /// Remembers a variable for this child and the next ones.
    pub(crate) fn set_env(&self, name: &str, value: Option<&str>) {
        lock(&self.environment).environment.insert(name.to_owned(), value.map(str::to_owned));
        self.send(ToChild::Environment { name: name.to_owned(), value: value.map(str::to_owned) });
    }

    /// Remembers the folder for this child and the next ones.
    pub(crate) fn set_cwd(&self, path: &std::path::Path) {
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

    /// Something new runs: what is acknowledged of the interrupts so far does not concern it.
    pub(crate) fn forget_interrupts(&self) {
        let mut state = lock(&self.state);
        state.interrupts_before = state.interrupt;
        state.acknowledged = false;
    }

    /// Asks everything to stop, what runs in the background too.
    pub(crate) fn stop_all(&self) {
        self.send(ToChild::StopAll);
    }

    /// Whether a job has said that it stops.
    pub(crate) fn is_acknowledged(&self) -> bool {
        lock(&self.state).acknowledged
    }

    /// Whether a child that is ready runs a cell or has a command to answer.
    pub(crate) fn is_at_work(&self) -> bool {
        let is_ready = lock(&self.state).live.as_ref().is_some_and(|live| live.ready);
        is_ready && (self.cell().executing || !lock(&self.pending).is_empty())
    }

    /// Kills the child; the keeper buries it and starts the next.
    pub(crate) fn kill(&self, cause: Cause) {
        let mut state = lock(&self.state);
        if cause == Cause::Shutdown {
            state.ended = Some("the kernel is shutting down".to_owned());
        }
        if let Some(live) = &state.live {
            let pid = live.pid;
            // The first reason is the one that the user is told.
            state.cause.get_or_insert(cause);
            // The keeper reaps only after it has taken `live` under this lock, so the number is still the child's.
            process::signal(pid, libc::SIGKILL);
        }
    }

    /// Waits until a child is ready, or gives up.
    pub(crate) fn wait_ready(&self, limit: Duration) -> bool {
        let state = lock(&self.state);
        let is_waiting = |state: &mut State| {
            state.ended.is_none() && !state.live.as_ref().is_some_and(|live| live.ready)
        };
        match self.changed.wait_timeout_while(state, limit, is_waiting) {
            Ok((state, _)) => state.live.as_ref().is_some_and(|live| live.ready),
            Err(_) => false,
        }
    }

    /// Waits until there is no child, or gives up.
    pub(crate) fn wait_gone(&self, limit: Duration) {
        let state = lock(&self.state);
        drop(self.changed.wait_timeout_while(state, limit, |state| state.live.is_some()));
    }

    /// The last death, for an error message.
    pub(crate) fn last_death(&self) -> Option<ChildExit> {
        lock(&self.state).last_death.clone()
    }

    /// What is known of the running cell.
    pub(crate) fn cell(&self) -> MutexGuard<'_, CellStatus> {
        lock(&self.cell)
    }

    /// The receiver gets word when both streams have been read up to now; none when there is no child.
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

    /// evcxr has a new relay.
    pub(crate) fn attach(&self, attachment: Attachment) {
        lock(&self.state).attachment = Some(attachment);
    }

    /// Ends the relay that evcxr has, whichever it is.
    pub(crate) fn detach_all(&self) {
        let attachment = lock(&self.state).attachment.take();
        drop(attachment);
    }

    /// Whether that relay still stands for the living child.
    pub(crate) fn is_attached(&self, number: u64) -> bool {
        lock(&self.state).attachment.as_ref().is_some_and(|attachment| attachment.number == number)
    }

    /// How many children there have been.
    pub(crate) fn generation(&self) -> u64 {
        lock(&self.state).generation
    }

    /// evcxr has closed that relay.
    pub(crate) fn detach(&self, number: u64) {
        let mut state = lock(&self.state);
        if state.attachment.as_ref().is_some_and(|attachment| attachment.number == number) {
            state.attachment = None;
        }
    }

    /// Has the child run a compiled cell; waits for a new child if there is none. False when there comes none.
    pub(crate) fn run_cell(&self, library: &str, function: &str) -> bool {
        if !self.wait_ready(MOST_WAIT) {
            return false;
        }
        self.cell().begin();
        let is_sent = self.control(&control::ToChild::Run {
            library: library.to_owned(),
            function: function.to_owned(),
        });
        if !is_sent {
            // The child has died since it was ready: no cell runs.
            self.cell().executing = false;
        }
        is_sent
    }

    /// Says something to the child's main program; false when there is no child.
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
