//! The state that the job thread and the callers of a session share.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use graft_nn::Device;
use graft_protocol::{Event, Snapshot};
use graft_spec::Failure;

use crate::{
    SessionState, Sink,
    background::JobReports,
    job::{self, JobHandle},
    readers::ReaderQueue,
    snapshot, verbs,
};

/// Shared by the job thread and the callers.
pub(crate) struct Shared {
    state: ArcSwap<SessionState>,
    published: Mutex<Arc<Snapshot>>,
    running: Mutex<Option<JobHandle>>,
    /// Reads on other threads, or queued for the running job.
    concurrent_jobs: Mutex<Vec<JobHandle>>,
    pub(crate) reports: Arc<JobReports>,
    /// Reads of the model while a job uses it.
    pub(crate) readers: ReaderQueue,
    idle: Condvar,
    sink: Arc<dyn Sink>,
}

impl Shared {
    /// The state of a new session. Its first snapshot goes to `sink`.
    pub(crate) fn new(sink: Arc<dyn Sink>) -> Self {
        let state = SessionState::new(Device::Cpu, verbs::runs::names());
        let first = Arc::new(snapshot::of(&state, None));
        sink.snapshot(Snapshot::clone(&first));
        Self {
            state: ArcSwap::from_pointee(state),
            published: Mutex::new(first),
            running: Mutex::new(None),
            concurrent_jobs: Mutex::default(),
            reports: Arc::default(),
            readers: ReaderQueue::default(),
            idle: Condvar::new(),
            sink,
        }
    }

    /// Runs the work of a job, and the readers that are queued meanwhile.
    ///
    /// # Errors
    /// [`crate::SessionError::NoThreads`]; in that case the work has not started.
    pub(crate) fn run<R: Send>(
        &self,
        handle: JobHandle,
        work: impl FnOnce() -> R + Send,
    ) -> Result<R, Failure> {
        self.readers.open();
        self.set_running(Some(handle));
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

    pub(crate) fn state(&self) -> Arc<SessionState> {
        self.state.load_full()
    }

    /// Replaces the state with an edited copy and sends the new snapshot.
    pub(crate) fn change(&self, edit: impl Fn(&mut SessionState)) {
        self.state.rcu(|state| {
            let mut next = SessionState::clone(state);
            edit(&mut next);
            next
        });
        self.state().name_classes();
        self.publish();
    }

    pub(crate) fn event(&self, request: Option<u64>, event: Event) {
        self.sink.event(request, event);
    }

    /// Sends the snapshot when it differs from the last one. Properties of adapters, such as scale
    /// and merge, change without the state.
    pub(crate) fn publish(&self) {
        let job = self.job();
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let now = snapshot::of(&self.state(), job);
        if **published != now {
            *published = Arc::new(now.clone());
            self.sink.snapshot(now);
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The run of the background job, if one runs.
    pub(crate) fn background_run(&self) -> Option<String> {
        self.reports.all().into_iter().rfind(|report| report.is_running).map(|report| report.run)
    }

    /// See [`crate::CommandContext::stop_background`].
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

    /// See [`crate::Session::interrupt`].
    pub(crate) fn interrupt(&self) -> Option<String> {
        let stopped = {
            let concurrent = self.concurrent_jobs();
            concurrent.iter().for_each(JobHandle::interrupt);
            let running = self.running();
            let foreground = running
                .as_ref()
                .filter(|running| !running.is_background)
                .inspect(|running| running.interrupt());
            foreground.or(concurrent.first()).map(|job| job.label.clone())
        };
        // After both locks are released: the callbacks of the readers may take them.
        self.readers.dismiss_interrupted();
        stopped
    }

    pub(crate) fn wait_until_idle(&self, limit: Duration) {
        let running = self.running();
        drop(self.idle.wait_timeout_while(running, limit, |running| running.is_some()));
    }

    /// Registers a concurrent job, so that the stop button reaches it.
    pub(crate) fn add_concurrent(&self, job: &JobHandle) {
        self.concurrent_jobs().push(job.clone());
    }

    pub(crate) fn remove_concurrent(&self, job: &JobHandle) {
        self.concurrent_jobs().retain(|known| !Arc::ptr_eq(&known.stop, &job.stop));
    }

    fn concurrent_jobs(&self) -> MutexGuard<'_, Vec<JobHandle>> {
        self.concurrent_jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The label of the running job.
    pub(crate) fn job(&self) -> Option<String> {
        self.running().as_ref().map(|running| running.label.clone())
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, Option<JobHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_running(&self, running: Option<JobHandle>) {
        *self.running() = running;
        self.idle.notify_all();
        self.publish();
    }
}
