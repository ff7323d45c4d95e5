//! evcxr on a thread of its own: Rust cells, `:commands`, completion and inspection, one after the other.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::session_folder::SessionFolder;
use super::shared_state::SharedState;
use super::supervisor::Supervisor;
use super::{EngineError, RustCompletion, RustError, RustInspection, RustOutput};
use crate::unix;
use worker::Worker;

mod worker;

/// Longest wait for completion or inspection while Rust is busy or starting.
const PATIENCE_BUSY: Duration = Duration::from_millis(300);
/// Longest wait while it is idle: the first answer after a change takes rust-analyzer a while.
const PATIENCE_IDLE: Duration = Duration::from_secs(4);

/// What the thread is asked to do.
enum Job {
    Run(String, oneshot::Sender<Result<RustOutput, RustError>>),
    Complete(Question, oneshot::Sender<Vec<RustCompletion>>),
    Inspect(Question, oneshot::Sender<Option<RustInspection>>),
    Warm,
    Stop,
}

/// A place in a text; worth nothing after the deadline.
struct Question {
    code: String,
    byte: usize,
    deadline: Instant,
}

/// What the worker needs of the engine.
struct Context {
    shared: Arc<SharedState>,
    supervisor: Arc<Supervisor>,
    folder: SessionFolder,
    executable: PathBuf,
    prebuilt: graft_prebuilt::PrebuiltLibrary,
    relays: OwnedFd,
    interrupted: Arc<AtomicBool>,
}

/// A handle to the thread.
pub(crate) struct RustThread {
    jobs: Sender<Job>,
    busy: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    ended: std::sync::Mutex<Option<Receiver<()>>>,
    hosts_end: OwnedFd,
    session: PathBuf,
}

/// How long evcxr may take to end: Jupyter waits two and a half seconds for the whole kernel before it sends signals.
const LAST_WORK: Duration = Duration::from_secs(1);

impl RustThread {
    /// Starts the thread; evcxr comes with the first job that needs it.
    pub(crate) fn start(
        shared: &Arc<SharedState>,
        supervisor: &Arc<Supervisor>,
        plan: &super::child_process::ChildCommand,
        folder: SessionFolder,
    ) -> Result<Self, EngineError> {
        let child = |source: std::io::Error| EngineError::Child { reason: source.to_string() };
        let (hosts_end, relays) = unix::message_pair().map_err(child)?;
        let taking = hosts_end.try_clone().map_err(child)?;
        let taker = Arc::clone(supervisor);
        std::thread::spawn(move || super::attachment::take_relays(&taking, &taker));
        let (jobs, queue) = channel();
        let (end, ended) = channel();
        let busy = Arc::new(AtomicBool::new(false));
        let ready = Arc::new(AtomicBool::new(false));
        let interrupted = Arc::new(AtomicBool::new(false));
        let session = folder.manifest().with_file_name("");
        let context = Context {
            shared: Arc::clone(shared),
            supervisor: Arc::clone(supervisor),
            folder,
            executable: plan.executable.clone(),
            prebuilt: plan.prebuilt.clone(),
            relays,
            interrupted: Arc::clone(&interrupted),
        };
        let (is_busy, is_ready) = (Arc::clone(&busy), Arc::clone(&ready));
        let thread = std::thread::Builder::new().name("rust".to_owned()).stack_size(16 << 20);
        thread
            .spawn(move || {
                serve(&queue, Worker::new(context), &is_busy, &is_ready);
                let _ = end.send(());
            })
            .map_err(child)?;
        Ok(Self {
            jobs,
            busy,
            ready,
            interrupted,
            ended: std::sync::Mutex::new(Some(ended)),
            hosts_end,
            session,
        })
    }

    /// Runs a cell.
    pub(crate) async fn run(&self, code: &str) -> Result<RustOutput, RustError> {
        self.interrupted.store(false, Ordering::Release);
        let (sender, receiver) = oneshot::channel();
        let _ = self.jobs.send(Job::Run(code.to_owned(), sender));
        receiver.await.unwrap_or_else(|_| {
            Err(super::errors::plain(
                "SessionDied",
                "the Rust thread has ended; restart the kernel",
            ))
        })
    }

    /// Completes; none when there is no answer in time.
    pub(crate) async fn complete(&self, code: &str, byte: usize) -> Option<Vec<RustCompletion>> {
        self.ask(code, byte, Job::Complete).await
    }

    /// Inspects; none when there is no answer in time.
    pub(crate) async fn inspect(&self, code: &str, byte: usize) -> Option<RustInspection> {
        self.ask(code, byte, Job::Inspect).await.flatten()
    }

    /// Makes Rust ready in the background.
    pub(crate) fn warm(&self) {
        let _ = self.jobs.send(Job::Warm);
    }

    /// Whether a job runs.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// The user has pressed stop: a compilation that fails now was interrupted.
    pub(crate) fn note_interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    /// Ends the thread, evcxr and the session's folder; waits a little for it.
    pub(crate) fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
        let ended = super::shared_state::lock(&self.ended).take();
        let in_time = ended.is_none_or(|ended| ended.recv_timeout(LAST_WORK).is_ok());
        unix::end_socket(self.hosts_end.as_fd());
        if !in_time {
            // The thread ends with the process and removes nothing any more.
            let _ = std::fs::remove_dir_all(&self.session);
        }
    }

    async fn ask<T>(
        &self,
        code: &str,
        byte: usize,
        job: impl FnOnce(Question, oneshot::Sender<T>) -> Job,
    ) -> Option<T> {
        if !self.ready.load(Ordering::Acquire) {
            if !self.is_busy() {
                self.warm();
            }
            return None;
        }
        let patience = if self.is_busy() { PATIENCE_BUSY } else { PATIENCE_IDLE };
        let (sender, receiver) = oneshot::channel();
        let question =
            Question { code: code.to_owned(), byte, deadline: Instant::now() + patience };
        let _ = self.jobs.send(job(question, sender));
        tokio::time::timeout(patience, receiver).await.ok()?.ok()
    }
}

fn serve(queue: &Receiver<Job>, mut worker: Worker, busy: &AtomicBool, ready: &AtomicBool) {
    loop {
        // A cell that has just been answered leaves time for what the next `let` would wait for.
        let job = match queue.try_recv() {
            Ok(job) => job,
            Err(TryRecvError::Empty) if worker.is_cold() => Job::Warm,
            Err(_) => match queue.recv() {
                Ok(job) => job,
                Err(_) => return,
            },
        };
        busy.store(true, Ordering::Release);
        match job {
            Job::Run(code, answer) => {
                let _ = answer.send(worker.run(&code));
            }
            Job::Complete(question, answer) if Instant::now() < question.deadline => {
                let _ = answer.send(worker.complete(&question.code, question.byte));
            }
            Job::Inspect(question, answer) if Instant::now() < question.deadline => {
                let _ = answer.send(worker.inspect(&question.code, question.byte));
            }
            Job::Complete(..) | Job::Inspect(..) => {}
            Job::Warm => worker.warm(),
            Job::Stop => return,
        }
        ready.store(worker.is_ready(), Ordering::Release);
        busy.store(false, Ordering::Release);
    }
}
