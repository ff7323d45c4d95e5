//! The engine behind its handle: the parts, and the rules of an interrupt.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graft_protocol::{Command, Reply, Snapshot};
use graft_spec::Failure;
use tokio::sync::mpsc;

use super::folder::Folder;
use super::losses::Cause;
use super::presses::{Act, Presses};
use super::process::{Plan, Surroundings};
use super::rust::RustThread;
use super::shared::{Shared, lock};
use super::supervisor::Supervisor;
use super::{
    EngineError, EngineOptions, Output, RustCompletion, RustError, RustInspection, RustOutput,
    compilation,
};

/// Longest wait for a drain: a child that does not answer has more to say than it can.
const DRAIN: Duration = Duration::from_secs(2);
/// Longest wait for a new child after a restart.
const RESTART: Duration = Duration::from_secs(10);
/// Longest wait for a job to stop when the session ends.
const LAST_STEP: Duration = Duration::from_millis(2000);
/// How often an unanswered interrupt looks whether it still is.
const LOOK: Duration = Duration::from_millis(100);

/// The parts of an engine.
pub(super) struct Inner {
    shared: Arc<Shared>,
    supervisor: Arc<Supervisor>,
    rust: RustThread,
    number: AtomicU64,
    grace: Duration,
    /// Presses of stop that concern what runs now.
    presses: Arc<Mutex<Presses>>,
}

impl Inner {
    pub(super) fn start(
        options: EngineOptions,
        output: mpsc::UnboundedSender<Output>,
    ) -> Result<Self, EngineError> {
        let template =
            graft_prebuilt::open(&options.template).ok_or_else(|| EngineError::Template {
                path: options.template.clone(),
                reason: "it is not there or not whole".to_owned(),
            })?;
        let executable = std::env::current_exe()
            .map_err(|error| EngineError::Child { reason: error.to_string() })?;
        let places = graft_prebuilt::Dirs::user();
        let failed =
            |path: std::path::PathBuf| move |source| EngineError::SessionFolder { path, source };
        let sessions = places.clone().claimed().map_err(failed(places.sessions()))?.sessions();
        let folder = Folder::create(&sessions, &template.layout).map_err(failed(sessions))?;
        let plan = Plan { template, executable };
        let shared = Arc::new(Shared::new(output, options.budget));
        let surroundings = Surroundings { cwd: options.cwd, ..Surroundings::default() };
        let supervisor = Supervisor::start(Arc::clone(&shared), plan.clone(), surroundings);
        let rust = RustThread::start(&shared, &supervisor, &plan, folder)?;
        if options.warm {
            rust.warm();
        }
        Ok(Self {
            shared,
            supervisor,
            rust,
            number: AtomicU64::new(1),
            grace: options.grace,
            presses: Arc::default(),
        })
    }

    pub(super) fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) async fn command(&self, number: u64, command: Command) -> Result<Reply, Failure> {
        let _busy = self.begin();
        let gone = || Failure::new("engine::child_died", "the engine has ended");
        self.supervisor.request(number, command).await.unwrap_or_else(|_| Err(gone()))
    }

    pub(super) async fn rust(&self, code: &str) -> Result<RustOutput, RustError> {
        let _busy = self.begin();
        let result = self.rust.run(code).await;
        self.drain().await;
        result
    }

    pub(super) async fn complete_rust(
        &self,
        code: &str,
        byte: usize,
    ) -> Option<Vec<RustCompletion>> {
        self.rust.complete(code, byte).await
    }

    pub(super) async fn inspect_rust(&self, code: &str, byte: usize) -> Option<RustInspection> {
        self.rust.inspect(code, byte).await
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    pub(super) fn variables(&self) -> Vec<(String, String)> {
        self.shared.variables()
    }

    /// The first press asks. Another one kills if it comes a moment later and no job has acknowledged the first; so does `grace`
    /// without an answer. A job that has acknowledged stops at its next step and is never killed.
    pub(super) async fn interrupt(&self) {
        if !self.shared.is_busy() {
            return self.supervisor.interrupt();
        }
        self.rust.note_interrupt();
        let act = lock(&self.presses).press(
            Instant::now(),
            self.supervisor.is_acknowledged(),
            self.supervisor.is_at_work(),
        );
        if act == Act::Kill {
            return self.supervisor.kill(Cause::Interrupt);
        }
        self.supervisor.interrupt();
        if self.rust.is_busy() && !self.supervisor.cell().executing {
            compilation::interrupt();
        }
        if let Act::Ask(first) = act {
            self.watch(first);
        }
    }

    /// Asks again until a job acknowledges, since the press may have come before the job began; kills the child if none has after the
    /// grace.
    fn watch(&self, first: Instant) {
        let (presses, supervisor, shared, grace) = (
            Arc::clone(&self.presses),
            Arc::clone(&self.supervisor),
            Arc::clone(&self.shared),
            self.grace,
        );
        tokio::spawn(async move {
            while first.elapsed() < grace {
                tokio::time::sleep(LOOK.min(grace)).await;
                if !shared.is_busy()
                    || !lock(&presses).is_current(first)
                    || supervisor.is_acknowledged()
                {
                    return;
                }
                supervisor.interrupt();
            }
            if supervisor.is_at_work() {
                lock(&presses).clear();
                supervisor.kill(Cause::Interrupt);
            }
        });
    }

    pub(super) async fn drain(&self) {
        if let Some(done) = self.supervisor.drain() {
            let _ = tokio::time::timeout(DRAIN, done).await;
        }
    }

    /// A running job writes its checkpoint before the child is ended.
    async fn let_job_stop(&self) {
        if self.shared.snapshot().job.is_none() {
            return;
        }
        self.supervisor.stop_all();
        let begin = Instant::now();
        while self.shared.snapshot().job.is_some() && begin.elapsed() < LAST_STEP {
            tokio::time::sleep(LOOK / 4).await;
        }
    }

    pub(super) async fn restart(&self) {
        self.let_job_stop().await;
        self.supervisor.kill(Cause::Restart);
        let supervisor = Arc::clone(&self.supervisor);
        let _ = tokio::task::spawn_blocking(move || {
            supervisor.wait_gone(RESTART);
            supervisor.wait_ready(RESTART)
        })
        .await;
    }

    pub(super) async fn shutdown(&self) {
        compilation::interrupt();
        self.let_job_stop().await;
        self.supervisor.kill(Cause::Shutdown);
        self.rust.stop();
        self.supervisor.wait_gone(Duration::from_secs(1));
    }

    pub(super) fn set_env(&self, name: &str, value: Option<&str>) {
        self.supervisor.set_env(name, value);
    }

    pub(super) fn set_cwd(&self, path: &Path) {
        self.supervisor.set_cwd(path);
    }

    /// Somebody waits for the child; presses of stop before this do not count for it.
    fn begin(&self) -> super::shared::Busy<'_> {
        if !self.shared.is_busy() {
            lock(&self.presses).clear();
            self.supervisor.forget_interrupts();
        }
        self.shared.begin()
    }
}
