//! Trainings whose cell ends when they begin.
//!
//! Until the first step a background job speaks as any other does, so that what is wrong with it fails the cell. Then it hands the cell its reply and
//! falls silent: the ledger has its course, and what it says beside that is kept for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graft_protocol::{Block, Event, Failure, Reply};

/// What a caller waits for.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T, Failure>) + Send>;

/// How a training in the background stands.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Name of its run.
    pub(crate) run: String,
    /// Why it failed or was stopped; none while it runs and when it has done all its steps.
    pub(crate) failure: Option<Failure>,
    /// Whether it runs.
    pub(crate) is_running: bool,
    /// What it has said beside its course.
    pub(crate) notes: Vec<Block>,
}

/// The cell of a background job, until it has its reply; the job's report afterwards.
pub(crate) struct Handover {
    done: Mutex<Option<Done<Reply>>>,
    reports: Arc<Reports>,
}

/// The background trainings of a session, oldest first.
#[derive(Default)]
pub(crate) struct Reports(Mutex<Vec<Report>>);

impl Reports {
    fn lock(&self) -> MutexGuard<'_, Vec<Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Report> {
        self.lock().clone()
    }

    /// Changes the newest.
    fn change(&self, edit: impl FnOnce(&mut Report)) {
        self.lock().last_mut().map(edit);
    }
}

impl Handover {
    pub(crate) fn new(done: Done<Reply>, reports: Arc<Reports>) -> Self {
        Self { done: Mutex::new(Some(done)), reports }
    }

    /// Lets an event pass while the cell waits; the first step's gives the cell its reply, and later ones are kept or dropped.
    pub(crate) fn pass(&self, event: Event) -> Option<Event> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        match (event, done.is_some()) {
            (Event::RunStarted(started), true) => {
                let text = format!("`{}` trains in the background: %watch shows its curve, %stop ends it, %generate answers meanwhile", started.run);
                self.reports.lock().push(Report { run: started.run, failure: None, is_running: true, notes: Vec::new() });
                if let Some(done) = done.take() {
                    done(Ok(Reply::text(text)));
                }
                None
            }
            (event, true) => Some(event),
            (Event::Note { level, text }, false) => {
                self.reports.change(|report| report.notes.push(Block::Note(level, text)));
                None
            }
            (_, false) => None,
        }
    }

    /// The job is over; the cell of one that never began still waits for its answer.
    pub(crate) fn end(&self, result: Result<Reply, Failure>) -> Option<(Done<Reply>, Result<Reply, Failure>)> {
        if let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Some((done, result));
        }
        self.reports.change(|report| {
            report.is_running = false;
            report.failure = result.err();
        });
        None
    }
}
