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
use graft_protocol::{Command, Event, Reply, Snapshot};
use graft_spec::Failure;

use crate::{
    CommandContext, SessionError, Sink, State,
    background::{Done, Handover, Reports},
    interpret,
    job::{self, Job, Running},
    readers::{Admission, Reader, Readers},
    snapshot,
    verbs::{self, bare::UsersModel, trial},
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
    /// Work on threads of its own, beside a training in the background.
    guests: Mutex<Vec<Running>>,
    pub(crate) reports: Arc<Reports>,
    /// Who waits for the model while a job has it.
    pub(crate) readers: Readers,
    idle: Condvar,
    sink: Arc<dyn Sink>,
}

impl Session {
    /// An empty session on the processor, with the runs that lie beside the notebook; its first snapshot goes to `sink` at once.
    pub fn new(sink: Arc<dyn Sink>) -> Arc<Self> {
        graft_nn::tune_process();
        let state = State::new(Device::Cpu, verbs::runs::names());
        let published = Mutex::new(Arc::new(snapshot::of(&state, None)));
        let (running, guests, reports) = (Mutex::new(None), Mutex::default(), Arc::default());
        let (readers, idle) = (Readers::default(), Condvar::new());
        let shared = Arc::new(Shared {
            state: ArcSwap::from_pointee(state),
            published,
            running,
            guests,
            reports,
            readers,
            idle,
            sink,
        });
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
    pub fn submit(&self, request: Option<u64>, command: Command, done: Done<Reply>) {
        let label = interpret::label(&command);
        if command.reads_attached() {
            return self.enqueue_glance(
                request,
                label,
                move |desk| interpret::interpret(desk, command),
                done,
            );
        }
        if command.is_read_only() {
            return done(self.read(|desk| interpret::interpret(desk, command)));
        }
        if command.is_patient() {
            return self.be_guest(
                request,
                &label,
                move |desk| interpret::interpret(desk, command),
                done,
            );
        }
        match self.shared.background_run() {
            Some(_) if command.reads_model() => {
                return self.enqueue_reader(
                    request,
                    label,
                    move |desk| interpret::interpret(desk, command),
                    done,
                );
            }
            Some(run) => {
                let added = if let Command::TrialClone { number, keys } = &command {
                    self.read(|desk| trial::add(desk, *number, keys))
                } else {
                    Ok(None)
                };
                return done(added.and_then(|added| {
                    added.map(Reply::text).ok_or_else(|| SessionError::Background { run }.into())
                }));
            }
            None => {}
        }
        if command.is_background() {
            let command = command.in_foreground();
            return self.enqueue_background(
                request,
                label,
                move |desk| interpret::interpret(desk, command),
                done,
            );
        }
        self.enqueue(request, label, move |desk| interpret::interpret(desk, command), done);
    }

    /// Runs a piece of work as a job called `label` and waits for what it gives: how Rust cells reach the verbs with their types.
    ///
    /// # Errors
    /// Those of `work`, and as [`Session::execute`].
    pub fn perform<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if let Some(run) = self.shared.background_run() {
            return Err(SessionError::Background { run }.into());
        }
        let (sender, receiver) = mpsc::channel();
        self.enqueue(
            None,
            label.to_owned(),
            work,
            Box::new(move |result| drop(sender.send(result))),
        );
        receiver.recv().unwrap_or_else(|_| Err(SessionError::Closed.into()))
    }

    /// Runs a piece of work that only reads the model: a job as [`Session::perform`] makes one, and while another runs in the background, work between two
    /// of that job's steps. It sees the user's own adapters in either case.
    ///
    /// # Errors
    /// As [`Session::perform`], but that of a job in the background.
    pub fn look<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = mpsc::channel();
        let done: Done<T> = Box::new(move |result| drop(sender.send(result)));
        match self.shared.background_run() {
            Some(_) => self.enqueue_reader(None, label.to_owned(), work, done),
            None => self.enqueue(None, label.to_owned(), work, done),
        }
        receiver.recv().unwrap_or_else(|_| Err(SessionError::Closed.into()))
    }

    /// Runs a piece of work that reads in a moment what the model has attached or computes: at once, or between two steps of a job that has something of
    /// its own in the model, or trains it in the background.
    ///
    /// # Errors
    /// Those of `work`, and `session::panic`.
    pub fn glance<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = mpsc::channel();
        self.enqueue_glance(
            None,
            label.to_owned(),
            work,
            Box::new(move |result| drop(sender.send(result))),
        );
        receiver.recv().unwrap_or_else(|_| Err(SessionError::Closed.into()))
    }

    /// Trains in the background and gives the cell's reply once it has begun.
    ///
    /// # Errors
    /// Whatever keeps it from beginning.
    pub fn begin(&self, command: Command) -> Result<Reply, Failure> {
        let (sender, receiver) = mpsc::channel();
        let label = interpret::label(&command);
        let work = move |desk: &CommandContext| interpret::interpret(desk, command.in_foreground());
        if let Some(run) = self.shared.background_run() {
            return Err(SessionError::Background { run }.into());
        }
        self.enqueue_background(
            None,
            label,
            work,
            Box::new(move |result| drop(sender.send(result))),
        );
        receiver.recv().unwrap_or_else(|_| Err(SessionError::Closed.into()))
    }

    /// Runs a piece of work that only looks but takes its time, on this thread, beside a training in the background; the stop button ends it.
    ///
    /// # Errors
    /// Those of `work`, and `session::panic`.
    pub fn attend<T>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let running = Running::new(label);
        self.shared.guests().push(running.clone());
        let desk = CommandContext::new(self.shared.clone(), None, running.clone());
        let result = job::guarded(|| work(&desk));
        self.shared.guests().retain(|guest| !Arc::ptr_eq(&guest.stop, &running.stop));
        result
    }

    /// Runs a piece of work that only reads, on this thread and at once.
    ///
    /// # Errors
    /// Those of `work`, and `session::panic`.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let desk = CommandContext::new(self.shared.clone(), None, Running::new("reading"));
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

    /// Asks the running job to stop at its next step and says which it is; none when the session is idle. A training in the background goes on:
    /// its cell has ended, so what is to be stopped is something else.
    pub fn interrupt(&self) -> Option<String> {
        let stopped = {
            let guests = self.shared.guests();
            guests.iter().for_each(Running::interrupt);
            let running = self.shared.running();
            let foreground = running
                .as_ref()
                .filter(|running| !running.is_background)
                .inspect(|running| running.interrupt());
            foreground.or(guests.first()).map(|running| running.label.clone())
        };
        // Without the locks, which their callers may want.
        self.shared.readers.dismiss_interrupted();
        stopped
    }

    /// Asks whatever runs to stop, in the background too.
    pub fn stop_all(&self) {
        self.interrupt();
        self.shared.running().iter().for_each(Running::interrupt);
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

    /// Runs a piece of work on a thread of its own, beside the job thread.
    fn be_guest<T: Send + 'static>(
        &self,
        request: Option<u64>,
        label: &str,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
        done: Done<T>,
    ) {
        let (shared, running) = (self.shared.clone(), Running::new(label));
        shared.guests().push(running.clone());
        let visit = move || {
            let desk = CommandContext::new(shared.clone(), request, running.clone());
            // Not in candle's pool, where a job runs: its threads take up each other's work while they wait, so the training could come to wait
            // for a guest that waits for the training. What reads the model is no guest: see `readers`.
            let result = job::guarded(|| work(&desk));
            shared.guests().retain(|guest| !Arc::ptr_eq(&guest.stop, &running.stop));
            done(result);
        };
        // A thread that cannot be had drops `done`, which its caller notices.
        drop(job::thread("graft-guest", visit));
    }

    /// Lets a piece of work that only reads wait for the job's next pause; without a job it is done as soon as the job thread is free.
    fn enqueue_reader<T: Send + 'static>(
        &self,
        request: Option<u64>,
        label: String,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
        done: Done<T>,
    ) {
        let (shared, running) = (self.shared.clone(), Running::new(&label));
        shared.guests().push(running.clone());
        let desk = CommandContext::new(shared.clone(), request, running.clone());
        let enter = move |admission| {
            let result = job::guarded(|| {
                match admission {
                    Admission::Granted => {}
                    Admission::Interrupted => {
                        return Err(SessionError::Interrupted {
                            what: format!("stopped before {label} began"),
                            next: None,
                        }
                        .into());
                    }
                    Admission::Refused(failure) => return Err(failure),
                }
                let _own = UsersModel::enter(&desk.state())?;
                work(&desk)
            });
            shared.guests().retain(|guest| !Arc::ptr_eq(&guest.stop, &desk.running().stop));
            done(result);
        };
        if let Err(reader) = self.shared.readers.push(Reader { running, enter: Box::new(enter) }) {
            // The job has ended in the meantime.
            let shared = self.shared.clone();
            self.send(Box::new(move || {
                let mut waiting = Some(reader);
                let entered = job::on_device(&shared.state().device.clone(), || {
                    waiting.take().into_iter().for_each(Reader::admit);
                    Ok(())
                });
                if let (Err(failure), Some(reader)) = (entered, waiting) {
                    reader.refuse(failure);
                }
            }));
        }
    }

    /// Does a piece of work at once that reads in a moment, unless a job has the model.
    fn enqueue_glance<T: Send + 'static>(
        &self,
        request: Option<u64>,
        label: String,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
        done: Done<T>,
    ) {
        if self.shared.background_run().is_some() || self.shared.state().is_lent() {
            return self.enqueue_reader(request, label, work, done);
        }
        done(self.read(work));
    }

    /// Runs a training as a job whose caller has its answer when it begins.
    fn enqueue_background(
        &self,
        request: Option<u64>,
        label: String,
        work: impl FnOnce(&CommandContext) -> Result<Reply, Failure> + Send + 'static,
        done: Done<Reply>,
    ) {
        let (shared, handover) =
            (self.shared.clone(), Arc::new(Handover::new(done, self.shared.reports.clone())));
        self.send(Box::new(move || {
            let running = Running::in_background(&format!("{label} in the background"));
            let desk = CommandContext::in_background(
                shared.clone(),
                request,
                running.clone(),
                handover.clone(),
            );
            // Before the session is idle: whoever has waited for that reads the report.
            let ended = shared.host(running, || handover.end(job::guarded(|| work(&desk))));
            let waits = ended.unwrap_or_else(|failure| handover.end(Err(failure)));
            waits.into_iter().for_each(|(done, result)| done(result));
        }));
    }

    fn enqueue<T: Send + 'static>(
        &self,
        request: Option<u64>,
        label: String,
        work: impl FnOnce(&CommandContext) -> Result<T, Failure> + Send + 'static,
        done: Done<T>,
    ) {
        let shared = self.shared.clone();
        self.send(Box::new(move || {
            let running = Running::new(&label);
            let desk = CommandContext::of_job(shared.clone(), request, running.clone());
            let result = shared.host(running, || job::guarded(|| work(&desk)));
            done(result.and_then(|result| result));
        }));
    }

    fn send(&self, job: Job) {
        // The thread lives as long as the session; should it ever be gone, dropping the job drops `done`, which its caller notices.
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job));
    }
}

impl Shared {
    /// Does the work of a job, and that of the readers who come meanwhile.
    ///
    /// # Errors
    /// [`SessionError::NoThreads`]; the work has not begun then.
    fn host<R: Send>(
        &self,
        running: Running,
        work: impl FnOnce() -> R + Send,
    ) -> Result<R, Failure> {
        self.readers.open();
        self.set_running(Some(running));
        let device = self.state().device.clone();
        let result = job::on_device(&device, || {
            let result = work();
            self.readers.close();
            Ok(result)
        });
        if result.is_err() {
            self.readers.close();
        }
        self.set_running(None);
        result
    }

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
        self.state().name_classes();
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

    /// The run that trains in the background now.
    pub(crate) fn background_run(&self) -> Option<String> {
        self.reports.all().into_iter().rfind(|report| report.is_running).map(|report| report.run)
    }

    /// As [`CommandContext::stop_background`].
    pub(crate) fn stop_background(&self, limit: Duration) -> bool {
        let running = self.running();
        let Some(job) = running.as_ref().filter(|running| running.is_background) else {
            return false;
        };
        job.interrupt();
        drop(self.idle.wait_timeout_while(running, limit, |running| {
            running.as_ref().is_some_and(|running| running.is_background)
        }));
        true
    }

    fn guests(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
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
