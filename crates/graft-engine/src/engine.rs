//! The engine: its parts, and how it handles commands, cells and interrupts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graft_frontend::OutputBudget;
use graft_prebuilt::Dirs;
use graft_protocol::{Command, Reply, Snapshot};
use graft_spec::Failure;
use tokio::sync::mpsc;

use crate::child_exit::Cause;
use crate::child_process::{ChildCommand, ChildEnvironment};
use crate::compilation;
use crate::error::EngineError;
use crate::event::EngineEvent;
use crate::executor::{Executor, Work};
use crate::interrupt_policy::{InterruptAction, InterruptPolicy};
use crate::rust::RustThread;
use crate::rust_error::RustError;
use crate::rust_result::{RustCompletion, RustInspection, RustOutput};
use crate::session_folder::SessionFolder;
use crate::share::Share;
use crate::shared_state::{BusyGuard, SharedState, lock};
use crate::supervisor::Supervisor;

/// Longest wait for a drain; a child that prints without end never finishes one.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for a new child after a restart.
const RESTART_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a job to stop when the session ends.
const JOB_STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for the child's exit when the session ends.
const CHILD_EXIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two requests to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The options of [`Engine::start`].
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The folder of a complete prebuilt library ([`graft_prebuilt::find`]).
    pub prebuilt: PathBuf,
    /// Whether to start evcxr in the background at once.
    pub warm: bool,
    /// The working directory of the child; `None` for that of the host.
    pub cwd: Option<PathBuf>,
    /// How long an interrupt may stay unanswered before the child is killed.
    pub grace: Duration,
    /// Limits the output that has not reached the frontend yet.
    pub budget: OutputBudget,
}

/// A running engine.
pub struct Engine {
    shared: Arc<SharedState>,
    supervisor: Arc<Supervisor>,
    rust: RustThread,
    grace: Duration,
    /// The interrupts that concern the running cell or command.
    interrupts: Arc<Mutex<InterruptPolicy>>,
}

impl Engine {
    /// Starts the child, which takes milliseconds, and with `warm` also evcxr in the background.
    /// Events go to `events`.
    ///
    /// # Errors
    /// Returns an error if the prebuilt library is incomplete, the session's folder cannot be
    /// created, or a thread or process cannot be started.
    pub fn start(
        options: EngineOptions,
        events: mpsc::UnboundedSender<EngineEvent>,
    ) -> Result<Self, EngineError> {
        let share = Share::from_environment()?;
        let prebuilt =
            graft_prebuilt::open(&options.prebuilt).ok_or_else(|| EngineError::Prebuilt {
                path: options.prebuilt.clone(),
                reason: "it is missing or incomplete".to_owned(),
            })?;
        let executable = std::env::current_exe()
            .map_err(|error| EngineError::Child { reason: error.to_string() })?;
        let dirs = Dirs::user();
        let failed = |path: PathBuf| move |source| EngineError::SessionFolder { path, source };
        let sessions = dirs.clone().claimed().map_err(failed(dirs.sessions()))?.sessions();
        let folder =
            SessionFolder::create(&sessions, &prebuilt.layout).map_err(failed(sessions))?;
        let command = ChildCommand { prebuilt, executable, share };
        let shared = Arc::new(SharedState::new(events, options.budget));
        let environment = ChildEnvironment { cwd: options.cwd, ..ChildEnvironment::default() };
        let supervisor = Supervisor::start(Arc::clone(&shared), command.clone(), environment);
        let rust = RustThread::start(&shared, &supervisor, &command, folder)?;
        if options.warm {
            rust.warm();
        }
        Ok(Self { shared, supervisor, rust, grace: options.grace, interrupts: Arc::default() })
    }

    /// The first interrupt asks the running job to stop. A later one kills the child if no job has
    /// acknowledged the first; so does the grace period without an answer. A job that has
    /// acknowledged stops at its next step and is never killed.
    fn interrupt_now(&self) {
        if !self.shared.is_busy() {
            return self.supervisor.interrupt();
        }
        self.rust.note_interrupt();
        let action = lock(&self.interrupts).on_interrupt(
            Instant::now(),
            self.supervisor.is_acknowledged(),
            self.supervisor.is_at_work(),
        );
        if action == InterruptAction::Kill {
            return self.supervisor.kill(Cause::Interrupt);
        }
        self.supervisor.interrupt();
        if self.rust.is_busy() && !self.supervisor.cell().executing {
            compilation::interrupt();
        }
        if let InterruptAction::Ask(first) = action {
            self.repeat_interrupt(first);
        }
    }

    /// Repeats the request until a job acknowledges it, because the interrupt may have come before
    /// the job began. Kills the child if no job has acknowledged it after the grace period.
    fn repeat_interrupt(&self, first: Instant) {
        let interrupts = Arc::clone(&self.interrupts);
        let supervisor = Arc::clone(&self.supervisor);
        let shared = Arc::clone(&self.shared);
        let grace = self.grace;
        tokio::spawn(async move {
            while first.elapsed() < grace {
                tokio::time::sleep(POLL_INTERVAL.min(grace)).await;
                if !shared.is_busy()
                    || !lock(&interrupts).is_current(first)
                    || supervisor.is_acknowledged()
                {
                    return;
                }
                supervisor.interrupt();
            }
            if supervisor.is_at_work() {
                lock(&interrupts).clear();
                supervisor.kill(Cause::Interrupt);
            }
        });
    }

    /// Stops the running job, which writes its checkpoint before the child ends.
    async fn stop_job(&self) {
        if self.shared.snapshot().job.is_none() {
            return;
        }
        self.supervisor.stop_all();
        let begin = Instant::now();
        while self.shared.snapshot().job.is_some() && begin.elapsed() < JOB_STOP_TIMEOUT {
            tokio::time::sleep(POLL_INTERVAL / 4).await;
        }
    }

    /// Marks the engine as busy until the guard is dropped. Interrupts before this call do not
    /// count for the new work.
    fn begin(&self) -> BusyGuard<'_> {
        if !self.shared.is_busy() {
            lock(&self.interrupts).clear();
            self.supervisor.forget_interrupts();
        }
        self.shared.begin()
    }
}

impl Executor for Engine {
    fn command(&self, command: Command) -> Work<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let _busy = self.begin();
            let gone = || Failure::new("engine::child_died", "the engine has ended");
            self.supervisor.request(command).await.unwrap_or_else(|_| Err(gone()))
        })
    }

    fn rust<'a>(&'a self, code: &'a str) -> Work<'a, Result<RustOutput, RustError>> {
        Box::pin(async move {
            let _busy = self.begin();
            let result = self.rust.run(code).await;
            self.drain().await;
            result
        })
    }

    fn complete_rust<'a>(
        &'a self,
        code: &'a str,
        byte: usize,
    ) -> Work<'a, Option<Vec<RustCompletion>>> {
        Box::pin(self.rust.complete(code, byte))
    }

    fn inspect_rust<'a>(&'a self, code: &'a str, byte: usize) -> Work<'a, Option<RustInspection>> {
        Box::pin(self.rust.inspect(code, byte))
    }

    fn interrupt(&self) -> Work<'_, ()> {
        Box::pin(async { self.interrupt_now() })
    }

    fn drain(&self) -> Work<'_, ()> {
        Box::pin(async {
            if let Some(done) = self.supervisor.drain() {
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, done).await;
            }
        })
    }

    fn restart(&self) -> Work<'_, ()> {
        Box::pin(async {
            self.stop_job().await;
            self.supervisor.kill(Cause::Restart);
            let supervisor = Arc::clone(&self.supervisor);
            let _ = tokio::task::spawn_blocking(move || {
                supervisor.wait_gone(RESTART_TIMEOUT);
                supervisor.wait_ready(RESTART_TIMEOUT)
            })
            .await;
        })
    }

    fn shutdown(&self) -> Work<'_, ()> {
        Box::pin(async {
            compilation::interrupt();
            self.stop_job().await;
            self.supervisor.kill(Cause::Shutdown);
            self.rust.stop();
            self.supervisor.wait_gone(CHILD_EXIT_TIMEOUT);
        })
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    fn variables(&self) -> Vec<(String, String)> {
        self.shared.variables()
    }

    fn set_env(&self, name: &str, value: &str) {
        self.supervisor.set_env(name, Some(value));
    }

    fn set_cwd(&self, path: &Path) {
        self.supervisor.set_cwd(path);
    }
}
