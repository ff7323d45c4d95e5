//! The context in which a verb runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use graft_protocol::{Event, Level};
use graft_train::Control;

use crate::{
    SessionError, SessionState,
    background::{ForegroundHandoff, JobReport},
    job::JobHandle,
    shared_state::Shared,
};

/// Access of one command to the session: its state, the event sink, and the stop flag.
pub struct CommandContext {
    shared: Arc<Shared>,
    request: Option<u64>,
    handle: JobHandle,
    /// In a background job, the link to its cell.
    handoff: Option<Arc<ForegroundHandoff>>,
    /// Whether this is a job, which lets readers use the model between its steps.
    serves_readers: bool,
}

impl CommandContext {
    /// The context of a command that runs outside the job thread.
    pub(crate) fn new(shared: Arc<Shared>, request: Option<u64>, handle: JobHandle) -> Self {
        Self { shared, request, handle, handoff: None, serves_readers: false }
    }

    /// The context of a job, which lets others read the model between its steps.
    pub(crate) fn for_job(shared: Arc<Shared>, request: Option<u64>, handle: JobHandle) -> Self {
        Self { serves_readers: true, ..Self::new(shared, request, handle) }
    }

    /// The context of a background job.
    pub(crate) fn for_background_job(
        shared: Arc<Shared>,
        request: Option<u64>,
        handle: JobHandle,
        handoff: Arc<ForegroundHandoff>,
    ) -> Self {
        Self { handoff: Some(handoff), ..Self::for_job(shared, request, handle) }
    }

    /// The current state.
    pub fn state(&self) -> Arc<SessionState> {
        self.shared.state()
    }

    /// Replaces the state with an edited copy and sends the new snapshot. `edit` may run more than
    /// once.
    pub fn change(&self, edit: impl Fn(&mut SessionState)) {
        self.shared.change(edit);
    }

    /// Sends a new snapshot if properties of adapters have changed.
    pub fn publish(&self) {
        self.shared.publish();
    }

    /// Sends an event under the request of this command.
    pub fn emit(&self, event: Event) {
        let event = match &self.handoff {
            Some(handoff) => handoff.forward(event),
            None => Some(event),
        };
        event.into_iter().for_each(|event| self.shared.event(self.request, event));
    }

    /// Sends an informational note.
    pub fn note(&self, text: impl Into<String>) {
        self.emit(Event::Note { level: Level::Info, text: text.into() });
    }

    /// Sends a warning.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(Event::Note { level: Level::Warning, text: text.into() });
    }

    /// Whether the user has asked this command to stop.
    pub fn is_stopping(&self) -> bool {
        self.handle.stop.load(Ordering::SeqCst)
    }

    /// The label of the running job.
    pub fn running_job(&self) -> Option<String> {
        self.shared.job()
    }

    /// The background jobs of this session, oldest first.
    pub(crate) fn background_jobs(&self) -> Vec<JobReport> {
        self.shared.reports.all()
    }

    /// Edits the report of the running background job; `None` when there is none.
    pub(crate) fn edit_background_job<T>(
        &self,
        edit: impl FnOnce(&mut JobReport) -> T,
    ) -> Option<T> {
        self.shared.reports.edit_newest(|report| report.is_running.then(|| edit(report))).flatten()
    }

    /// Whether this command is itself a background job.
    pub(crate) fn is_background(&self) -> bool {
        self.handoff.is_some()
    }

    /// Stops the background job and blocks until it has ended, at most `limit`. Returns whether
    /// there was a background job.
    pub(crate) fn stop_background(&self, limit: Duration) -> bool {
        self.shared.stop_background(limit)
    }

    /// The job of this context.
    pub(crate) fn handle(&self) -> &JobHandle {
        &self.handle
    }

    /// The flag that [`CommandContext::is_stopping`] reads, for loops in other crates.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.handle.stop.clone()
    }

    /// The stop flag for training and evaluation. Others may read the model between its
    /// forward passes.
    pub(crate) fn control(&self) -> Control {
        let control = Control::from_flag(self.stop_flag());
        if !self.serves_readers {
            return control;
        }
        let shared = self.shared.clone();
        control.with_pause(Arc::new(move || shared.readers.serve()))
    }

    /// Runs the queued readers of the model. Long jobs call this between two training runs.
    pub(crate) fn serve_readers(&self) {
        if self.serves_readers {
            self.shared.readers.serve();
        }
    }

    /// Returns an error if the user has asked this command to stop.
    ///
    /// # Errors
    /// [`SessionError::Interrupted`] with `what` was stopped.
    pub fn check_interrupted(&self, what: &str) -> Result<(), SessionError> {
        if self.is_stopping() {
            Err(SessionError::Interrupted { what: what.to_owned(), next: None })
        } else {
            Ok(())
        }
    }
}
