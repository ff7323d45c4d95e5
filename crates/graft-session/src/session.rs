//! The session: executes commands and reports events to the sink.

mod dispatch;

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    time::Duration,
};

use graft_protocol::{Command, Event, Reply, Snapshot};
use graft_spec::Failure;

use crate::{
    CommandContext, SessionError, SessionState, Sink,
    background::ReplyCallback,
    interpret,
    job::{self, JobHandle, QueuedJob},
    shared_state::Shared,
    verbs::{self, trial},
};
use dispatch::Task;

/// Named objects and the one interpreter of commands. All methods may be called from any thread.
pub struct Session {
    shared: Arc<Shared>,
    jobs: Mutex<Sender<QueuedJob>>,
}

/// How a command is executed.
enum Route {
    /// At once, on the caller's thread.
    Immediate,
    /// At once, or between two steps of the job that uses the model.
    AttachedRead,
    /// On a thread of its own.
    Concurrent,
    /// Between two steps of the background job.
    ModelRead,
    /// Not now: the background job of this run uses the session.
    Busy(String),
    /// As a background job.
    Background,
    /// As a job, after the jobs before it.
    Job,
}

impl Session {
    /// Creates an empty session on the CPU that lists the runs in the working directory, and sends
    /// its first snapshot to `sink`.
    pub fn new(sink: Arc<dyn Sink>) -> Arc<Self> {
        graft_nn::tune_process();
        let shared = Arc::new(Shared::new(sink));
        Arc::new(Self { shared, jobs: Mutex::new(job::start()) })
    }

    /// Executes a command and returns its reply. Commands that only read run at once, the others
    /// after the jobs before them.
    ///
    /// # Errors
    /// The failure of the command; `session::interrupted` when the user stopped it,
    /// `session::panic` when it panicked.
    pub fn execute(&self, command: Command) -> Result<Reply, Failure> {
        wait_for(|done| self.submit(None, command, done))
    }

    /// Executes a command and passes its result to `done`. Does not wait for jobs.
    ///
    /// Events of the command carry `request`. The snapshot is sent before `done` is called.
    pub fn submit(&self, request: Option<u64>, command: Command, done: ReplyCallback<Reply>) {
        match self.route(&command) {
            Route::Immediate => done(self.read(|cx| interpret::interpret(cx, command))),
            Route::AttachedRead => {
                self.enqueue_attached_read(Task::command(request, command, done))
            }
            Route::Concurrent => self.run_concurrently(Task::command(request, command, done)),
            Route::ModelRead => self.enqueue_reader(Task::command(request, command, done)),
            Route::Busy(run) => done(self.add_trial_to(run, &command)),
            Route::Background => {
                self.enqueue_background(Task::command(request, command.in_foreground(), done))
            }
            Route::Job => self.enqueue(Task::command(request, command, done)),
        }
    }

    fn route(&self, command: &Command) -> Route {
        if command.reads_attached() {
            return Route::AttachedRead;
        }
        if command.is_read_only() {
            return Route::Immediate;
        }
        if command.is_long_running_read() {
            return Route::Concurrent;
        }
        match self.shared.background_run() {
            Some(_) if command.reads_model() => Route::ModelRead,
            Some(run) => Route::Busy(run),
            None if command.is_background() => Route::Background,
            None => Route::Job,
        }
    }

    /// The reply to a command while a background job uses the session: `%trial clone` adds to a
    /// running comparison, everything else is refused.
    fn add_trial_to(&self, run: String, command: &Command) -> Result<Reply, Failure> {
        if let Command::TrialClone { number, keys } = command
            && let Some(added) = self.read(|cx| trial::add(cx, *number, keys))?
        {
            return Ok(Reply::text(added));
        }
        Err(SessionError::Background { run }.into())
    }

    /// Runs `work` as a job called `label` and returns its result. Rust cells call verbs this way
    /// and get typed results.
    ///
    /// # Errors
    /// Those of `work` and of [`Session::execute`]; [`SessionError::Background`] while a background
    /// job runs.
    pub fn perform<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if let Some(run) = self.shared.background_run() {
            return Err(SessionError::Background { run }.into());
        }
        wait_for(|done| self.enqueue(Task::new(label, work, done)))
    }

    /// Runs `work` that only reads the model: as a job, or between two steps of the background job.
    /// Either way it sees the user's own adapters.
    ///
    /// # Errors
    /// Those of `work` and of [`Session::execute`].
    pub fn read_model<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        wait_for(|done| {
            let task = Task::new(label, work, done);
            match self.shared.background_run() {
                Some(_) => self.enqueue_reader(task),
                None => self.enqueue(task),
            }
        })
    }

    /// Runs `work` that briefly reads what is attached to the model: at once, or between two steps
    /// of a job that has changed the model or trains it in the background.
    ///
    /// # Errors
    /// Those of `work`, and `session::panic`.
    pub fn read_attached<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        wait_for(|done| self.enqueue_attached_read(Task::new(label, work, done)))
    }

    /// Starts a background job and returns its reply once it has started.
    ///
    /// # Errors
    /// The failure that prevented the start; [`SessionError::Background`] while another background
    /// job runs.
    pub fn start(&self, command: Command) -> Result<Reply, Failure> {
        if let Some(run) = self.shared.background_run() {
            return Err(SessionError::Background { run }.into());
        }
        wait_for(|done| self.enqueue_background(Task::command(None, command.in_foreground(), done)))
    }

    /// Runs `work` on this thread, concurrently with a background job. The work only reads but may
    /// take long; the stop button interrupts it.
    ///
    /// # Errors
    /// Those of `work`, and `session::panic`.
    pub fn run_blocking_read<T>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let handle = JobHandle::new(label);
        self.shared.add_concurrent(&handle);
        let cx = CommandContext::new(self.shared.clone(), None, handle.clone());
        let result = job::guarded(|| work(&cx));
        self.shared.remove_concurrent(&handle);
        result
    }

    /// Runs `work` that only reads, at once and on this thread.
    ///
    /// # Errors
    /// Those of `work`, and `session::panic`.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let cx = CommandContext::new(self.shared.clone(), None, JobHandle::new("reading"));
        job::guarded(|| work(&cx))
    }

    /// The state after the last change.
    pub fn state(&self) -> Arc<SessionState> {
        self.shared.state()
    }

    /// The state in the form that the host receives.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// Asks the foreground job and all concurrent reads to stop, and returns the label of one of
    /// them; `None` when nothing runs. A background job continues: its cell has already ended, so
    /// the user means something else.
    pub fn interrupt(&self) -> Option<String> {
        self.shared.interrupt()
    }

    /// Asks every job to stop, including the background job.
    pub fn stop_all(&self) {
        self.interrupt();
        self.shared.running().iter().for_each(JobHandle::interrupt);
    }

    /// Blocks until no job runs, at most `limit`.
    pub fn wait_until_idle(&self, limit: Duration) {
        self.shared.wait_until_idle(limit);
    }

    /// Sends an event that belongs to no request, such as a display of a Rust cell.
    pub fn emit(&self, event: Event) {
        self.shared.event(None, event);
    }

    /// Lists the runs again. They are stored in the working directory, which may have changed.
    pub fn refresh_runs(&self) {
        let runs = verbs::runs::names();
        self.shared.change(|state| state.runs.clone_from(&runs));
    }
}

/// Calls `submit` with a callback and blocks until it is called.
fn wait_for<T: Send + 'static>(submit: impl FnOnce(ReplyCallback<T>)) -> Result<T, Failure> {
    let (sender, receiver) = mpsc::channel();
    submit(Box::new(move |result| drop(sender.send(result))));
    receiver.recv().unwrap_or_else(|_| Err(SessionError::Closed.into()))
}
