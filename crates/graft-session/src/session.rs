//! The session's door: commands in, replies out, news to the sink.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use graft_nn::Device;
use graft_protocol::{Command, Event, Failure, Reply, Snapshot};

use crate::{
    Desk, SessionError, Sink, State, interpret,
    job::{self, Job, Running},
    snapshot, verbs,
};

/// Named objects and the one interpreter of commands. All methods may be called from any thread.
pub struct Session {
    shared: Arc<Shared>,
    jobs: Mutex<Sender<Job>>,
}

/// What the job thread and the callers both hold.
pub(crate) struct Shared {
    state: ArcSwap<State>,
    published: Mutex<Arc<Snapshot>>,
    running: Mutex<Option<Running>>,
    idle: Condvar,
    sink: Arc<dyn Sink>,
}

impl Session {
    /// An empty session on the processor, with the runs that lie beside the notebook; its first snapshot goes to `sink` at once.
    pub fn new(sink: Arc<dyn Sink>) -> Arc<Self> {
        graft_nn::tune_process();
        let state = State::new(Device::Cpu, verbs::runs::names());
        let published = Mutex::new(Arc::new(snapshot::of(&state, None)));
        let shared = Arc::new(Shared { state: ArcSwap::from_pointee(state), published, running: Mutex::new(None), idle: Condvar::new(), sink });
        shared.sink.snapshot(Snapshot::clone(&shared.snapshot()));
        Arc::new(Self { shared, jobs: Mutex::new(job::start()) })
    }

    /// Executes a command and waits for its reply: at once when it only reads, else after the jobs before it.
    ///
    /// # Errors
    /// Whatever the command fails with; `session::interrupted` when the user stopped it; `session::panic` when it panicked.
    pub fn execute(&self, command: Command) -> Result<Reply, Failure> {
        let (sender, receiver) = mpsc::channel();
        self.submit(None, command, Box::new(move |result| drop(sender.send(result))));
        receiver.recv().unwrap_or_else(|_| Err(SessionError::Closed.into()))
    }

    /// Executes a command and hands its result to `done`, without waiting when it is a job.
    /// Its events carry `request`, and its snapshot is out before `done` is called.
    pub fn submit(&self, request: Option<u64>, command: Command, done: Box<dyn FnOnce(Result<Reply, Failure>) + Send>) {
        if command.is_read_only() {
            return done(self.read(|desk| interpret::interpret(desk, command)));
        }
        let label = interpret::label(&command);
        self.enqueue(request, label, move |desk| interpret::interpret(desk, command), done);
    }

    /// Runs a piece of work as a job called `label` and waits for what it gives: how Rust cells reach the verbs with their types.
    ///
    /// # Errors
    /// Those of `work`, and as [`Session::execute`].
    pub fn perform<T: Send + 'static>(&self, label: &str, work: impl FnOnce(&Desk) -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
        let (sender, receiver) = mpsc::channel();
        self.enqueue(None, label.to_owned(), work, Box::new(move |result| drop(sender.send(result))));
        receiver.recv().unwrap_or_else(|_| Err(SessionError::Closed.into()))
    }

    /// Runs a piece of work that only reads, on this thread and at once.
    ///
    /// # Errors
    /// Those of `work`, and `session::panic`.
    pub fn read<T>(&self, work: impl FnOnce(&Desk) -> Result<T, Failure>) -> Result<T, Failure> {
        let desk = Desk::new(self.shared.clone(), None, Running::new("reading"));
        job::guarded(|| work(&desk))
    }

    /// The state as the last change left it.
    pub fn state(&self) -> Arc<State> {
        self.shared.state()
    }

    /// The state in the words of the host.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// Asks the running job to stop at its next step and says which it is; none when the session is idle.
    pub fn interrupt(&self) -> Option<String> {
        let running = self.shared.running();
        running.as_ref().inspect(|running| running.interrupt()).map(|running| running.label.clone())
    }

    /// Waits until no job runs, at most `limit`.
    pub fn wait_until_idle(&self, limit: Duration) {
        let running = self.shared.running();
        drop(self.shared.idle.wait_timeout_while(running, limit, |running| running.is_some()));
    }

    /// Sends news that no request caused: what a Rust cell shows.
    pub fn emit(&self, event: Event) {
        self.shared.event(None, event);
    }

    /// Reads the list of runs again: the working directory, and with it the place of the runs, may have changed.
    pub fn refresh_runs(&self) {
        let runs = verbs::runs::names();
        self.shared.change(|state| state.runs.clone_from(&runs));
    }

    fn enqueue<T: Send + 'static>(
        &self,
        request: Option<u64>,
        label: String,
        work: impl FnOnce(&Desk) -> Result<T, Failure> + Send + 'static,
        done: Box<dyn FnOnce(Result<T, Failure>) + Send>,
    ) {
        let shared = self.shared.clone();
        let job: Job = Box::new(move || {
            let running = Running::new(&label);
            let desk = Desk::new(shared.clone(), request, running.clone());
            shared.set_running(Some(running));
            let device = shared.state().device.clone();
            let result = device.with_context(|| job::guarded(|| work(&desk)));
            shared.set_running(None);
            done(result);
        });
        // The thread lives as long as the session; should it ever be gone, dropping the job drops `done`, which its caller notices.
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job));
    }
}

impl Shared {
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Exchanges the state for an edited copy and tells the host.
    pub(crate) fn change(&self, edit: impl Fn(&mut State)) {
        self.state.rcu(|state| {
            let mut next = State::clone(state);
            edit(&mut next);
            next
        });
        self.publish();
    }

    pub(crate) fn event(&self, request: Option<u64>, event: Event) {
        self.sink.event(request, event);
    }

    /// Tells the host when the snapshot differs from the last one; facts inside adapters (scale, merge) change without the state.
    pub(crate) fn publish(&self) {
        let job = self.job();
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let now = snapshot::of(&self.state(), job);
        if **published != now {
            *published = Arc::new(now.clone());
            self.sink.snapshot(now);
        }
    }

    pub(crate) fn job(&self) -> Option<String> {
        self.running().as_ref().map(|running| running.label.clone())
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_running(&self, running: Option<Running>) {
        *self.running() = running;
        self.idle.notify_all();
        self.publish();
    }
}
