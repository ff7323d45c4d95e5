//! What a verb works with.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use graft_protocol::{Event, Level};
use graft_train::Control;

use crate::{
    SessionError, State,
    background::{Handover, Report},
    job::Running,
    session::Shared,
};

/// The session as one job sees it: the state, where its news goes, and whether it has been asked to stop.
pub struct CommandContext {
    shared: Arc<Shared>,
    request: Option<u64>,
    running: Running,
    /// In a background job, what is left of its cell.
    handover: Option<Arc<Handover>>,
    /// Whether it is a job's own, which lets readers in between its steps.
    serves: bool,
}

impl CommandContext {
    pub(crate) fn new(shared: Arc<Shared>, request: Option<u64>, running: Running) -> Self {
        Self { shared, request, running, handover: None, serves: false }
    }

    /// That of a job, which lets others read the model between its steps.
    pub(crate) fn of_job(shared: Arc<Shared>, request: Option<u64>, running: Running) -> Self {
        Self { serves: true, ..Self::new(shared, request, running) }
    }

    /// That of a background job.
    pub(crate) fn in_background(
        shared: Arc<Shared>,
        request: Option<u64>,
        running: Running,
        handover: Arc<Handover>,
    ) -> Self {
        Self { handover: Some(handover), ..Self::of_job(shared, request, running) }
    }

    /// The state now.
    pub fn state(&self) -> Arc<State> {
        self.shared.state()
    }

    /// Exchanges the state for an edited copy and tells the host. `edit` may run more than once.
    pub fn change(&self, edit: impl Fn(&mut State)) {
        self.shared.change(edit);
    }

    /// Tells the host what changed inside adapters.
    pub fn publish(&self) {
        self.shared.publish();
    }

    /// Sends news under this job's request.
    pub fn emit(&self, event: Event) {
        let event = match &self.handover {
            Some(handover) => handover.pass(event),
            None => Some(event),
        };
        event.into_iter().for_each(|event| self.shared.event(self.request, event));
    }

    /// Sends a line for the reader.
    pub fn note(&self, text: impl Into<String>) {
        self.emit(Event::Note { level: Level::Info, text: text.into() });
    }

    /// Sends a line to look at.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(Event::Note { level: Level::Warning, text: text.into() });
    }

    /// Whether the user has asked this job to stop.
    pub fn is_stopping(&self) -> bool {
        self.running.stop.load(Ordering::SeqCst)
    }

    /// The job that runs now, in words.
    pub fn running_job(&self) -> Option<String> {
        self.shared.job()
    }

    /// The trainings in the background, oldest first.
    pub(crate) fn background(&self) -> Vec<Report> {
        self.shared.reports.all()
    }

    /// Changes the report of the one that runs; none when none does.
    pub(crate) fn change_background<T>(&self, edit: impl FnOnce(&mut Report) -> T) -> Option<T> {
        self.shared.reports.change(|report| report.is_running.then(|| edit(report))).flatten()
    }

    /// Whether this job runs in the background itself.
    pub(crate) fn is_background(&self) -> bool {
        self.handover.is_some()
    }

    /// Asks the training in the background to stop, and waits until it has, at most `limit`; false where there is none.
    pub(crate) fn stop_background(&self, limit: std::time::Duration) -> bool {
        self.shared.stop_background(limit)
    }

    /// The job that it is the desk of.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// The flag behind [`CommandContext::is_stopping`], for loops that live in other crates.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.running.stop.clone()
    }

    /// The same flag for a training or an evaluation, between whose passes others may read the model.
    pub(crate) fn control(&self) -> Control {
        let control = Control::from_flag(self.stop_flag());
        if !self.serves {
            return control;
        }
        let shared = self.shared.clone();
        control.with_pause(Arc::new(move || shared.readers.serve()))
    }

    /// Lets those read the model who wait for it: where a job takes its time between two trainings.
    pub(crate) fn pause(&self) {
        if self.serves {
            self.shared.readers.serve();
        }
    }

    /// Goes on unless the user has asked this job to stop.
    ///
    /// # Errors
    /// [`SessionError::Interrupted`] with `what` was stopped.
    pub fn go_on(&self, what: &str) -> Result<(), SessionError> {
        if self.is_stopping() {
            Err(SessionError::Interrupted { what: what.to_owned(), next: None })
        } else {
            Ok(())
        }
    }
}
