//! The thread of evcxr. It handles Rust cells, `:commands`, completion and inspection one at a
//! time.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graft_prebuilt::PrebuiltLibrary;
use tokio::sync::oneshot;

use crate::child_process::ChildCommand;
use crate::error::EngineError;
use crate::rust_error::RustError;
use crate::rust_result::{RustCompletion, RustInspection, RustOutput};
use crate::session_folder::SessionFolder;
use crate::share::Share;
use crate::shared_state::{SharedState, lock};
use crate::supervisor::{Supervisor, take_relays};
use crate::{errors, unix};
use worker::Worker;

mod assistance;
mod command_effects;
mod evcxr_setup;
mod library;
mod type_probe;
mod worker;

/// Longest wait for completion or inspection while a cell runs or evcxr starts.
const BUSY_TIMEOUT: Duration = Duration::from_millis(300);
/// Longest wait for completion otherwise. JupyterLab drops an answer after a second, so an answer
/// without rust-analyzer must arrive before.
const COMPLETION_TIMEOUT: Duration = Duration::from_millis(850);
/// Longest wait for inspection otherwise; the first answer after a change takes rust-analyzer a
/// while.
const INSPECTION_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest wait for the thread's end. Jupyter sends signals after 2.5
/// seconds.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two checks whether the analyzer is still needed.
const IDLE_CHECK: Duration = Duration::from_secs(30);
/// Stack size of the thread; rust-analyzer recurses deeply.
const STACK_SIZE: usize = 16 << 20;

/// A request to the thread.
enum Job {
    Run(String, oneshot::Sender<Result<RustOutput, RustError>>),
    Complete(Query, oneshot::Sender<Vec<RustCompletion>>),
    Inspect(Query, oneshot::Sender<Option<RustInspection>>),
    Warm,
    Stop,
}

/// A position in a text, with the deadline of the answer.
struct Query {
    code: String,
    byte: usize,
    deadline: Instant,
}

/// The parts of the engine that the worker uses.
struct WorkerContext {
    shared: Arc<SharedState>,
    supervisor: Arc<Supervisor>,
    folder: SessionFolder,
    executable: PathBuf,
    prebuilt: PrebuiltLibrary,
    share: Share,
    /// The sending end of the socket over which relays pass their descriptors.
    relays: OwnedFd,
    interrupted: Arc<AtomicBool>,
}

/// The state that the thread shares with its handle.
#[derive(Clone, Default)]
struct Flags {
    /// A job is running.
    busy: Arc<AtomicBool>,
    /// evcxr has started.
    ready: Arc<AtomicBool>,
    /// The user has interrupted the current cell.
    interrupted: Arc<AtomicBool>,
}

/// A handle to the thread.
pub(crate) struct RustThread {
    jobs: Sender<Job>,
    flags: Flags,
    ended: Mutex<Option<Receiver<()>>>,
    /// The receiving end of the relays' socket.
    hosts_end: OwnedFd,
    session: PathBuf,
}

impl RustThread {
    /// Starts the thread. evcxr itself starts with the first job that needs it.
    pub(crate) fn start(
        shared: &Arc<SharedState>,
        supervisor: &Arc<Supervisor>,
        command: &ChildCommand,
        folder: SessionFolder,
    ) -> Result<Self, EngineError> {
        let failed = |source: std::io::Error| EngineError::Child { reason: source.to_string() };
        let (hosts_end, relays) = unix::message_pair().map_err(failed)?;
        let socket = hosts_end.try_clone().map_err(failed)?;
        let receiving = Arc::clone(supervisor);
        std::thread::spawn(move || take_relays(&socket, &receiving));
        let (jobs, queue) = channel();
        let (end, ended) = channel();
        let flags = Flags::default();
        let session = folder.root().to_owned();
        let context = WorkerContext {
            shared: Arc::clone(shared),
            supervisor: Arc::clone(supervisor),
            folder,
            executable: command.executable.clone(),
            prebuilt: command.prebuilt.clone(),
            share: command.share,
            relays,
            interrupted: Arc::clone(&flags.interrupted),
        };
        let threads_flags = flags.clone();
        let thread = std::thread::Builder::new().name("rust".to_owned()).stack_size(STACK_SIZE);
        thread
            .spawn(move || {
                serve(&queue, Worker::new(context), &threads_flags);
                let _ = end.send(());
            })
            .map_err(failed)?;
        Ok(Self { jobs, flags, ended: Mutex::new(Some(ended)), hosts_end, session })
    }

    /// Runs a cell.
    pub(crate) async fn run(&self, code: &str) -> Result<RustOutput, RustError> {
        self.flags.interrupted.store(false, Ordering::Release);
        let (sender, receiver) = oneshot::channel();
        let _ = self.jobs.send(Job::Run(code.to_owned(), sender));
        receiver.await.unwrap_or_else(|_| {
            Err(errors::plain("SessionDied", "the Rust thread has ended; restart the kernel"))
        })
    }

    /// Completes code at a byte offset; `None` without an answer in time.
    pub(crate) async fn complete(&self, code: &str, byte: usize) -> Option<Vec<RustCompletion>> {
        self.ask(code, byte, COMPLETION_TIMEOUT, Job::Complete).await
    }

    /// Inspects the name at a byte offset; `None` without an answer in time.
    pub(crate) async fn inspect(&self, code: &str, byte: usize) -> Option<RustInspection> {
        self.ask(code, byte, INSPECTION_TIMEOUT, Job::Inspect).await.flatten()
    }

    /// Starts evcxr in the background.
    pub(crate) fn warm(&self) {
        let _ = self.jobs.send(Job::Warm);
    }

    /// Whether a job is running.
    pub(crate) fn is_busy(&self) -> bool {
        self.flags.busy.load(Ordering::Acquire)
    }

    /// Records an interrupt: a compilation that fails from now on was interrupted.
    pub(crate) fn note_interrupt(&self) {
        self.flags.interrupted.store(true, Ordering::Release);
    }

    /// Ends the thread and evcxr and removes the session's folder, within [`SHUTDOWN_TIMEOUT`].
    pub(crate) fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
        let ended = lock(&self.ended).take();
        let in_time = ended.is_none_or(|ended| ended.recv_timeout(SHUTDOWN_TIMEOUT).is_ok());
        unix::end_socket(self.hosts_end.as_fd());
        if !in_time {
            // The thread ends with the process and can no longer remove the folder.
            let _ = std::fs::remove_dir_all(&self.session);
        }
    }

    async fn ask<T>(
        &self,
        code: &str,
        byte: usize,
        idle_timeout: Duration,
        job: impl FnOnce(Query, oneshot::Sender<T>) -> Job,
    ) -> Option<T> {
        if !self.flags.ready.load(Ordering::Acquire) {
            if !self.is_busy() {
                self.warm();
            }
            return None;
        }
        let timeout = if self.is_busy() { BUSY_TIMEOUT } else { idle_timeout };
        let (sender, receiver) = oneshot::channel();
        let query = Query { code: code.to_owned(), byte, deadline: Instant::now() + timeout };
        let _ = self.jobs.send(job(query, sender));
        tokio::time::timeout(timeout, receiver).await.ok()?.ok()
    }
}

fn serve(queue: &Receiver<Job>, mut worker: Worker, flags: &Flags) {
    loop {
        let job = match queue.recv_timeout(IDLE_CHECK) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                worker.analyzer.end_if_idle();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        flags.busy.store(true, Ordering::Release);
        match job {
            Job::Run(code, answer) => {
                let _ = answer.send(worker.run(&code));
            }
            Job::Complete(query, answer) if Instant::now() < query.deadline => {
                worker.complete(&query, answer);
            }
            Job::Inspect(query, answer) if Instant::now() < query.deadline => {
                worker.inspect(&query, answer);
            }
            Job::Complete(..) | Job::Inspect(..) => {}
            Job::Warm => worker.warm(),
            Job::Stop => return,
        }
        flags.ready.store(worker.is_ready(), Ordering::Release);
        flags.busy.store(false, Ordering::Release);
    }
}
