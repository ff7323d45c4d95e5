//! Background jobs: training runs and comparisons whose cell ends when they start.
//!
//! Until its first step a background job sends events like any other job, so that an error in its
//! settings fails the cell. After that the cell gets its reply, and later events go to a
//! [`JobReport`]. The steps themselves are in the ledger of the run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graft_protocol::{Block, Event, Reply};
use graft_spec::Failure;

/// Receives the result of a request.
pub(crate) type ReplyCallback<T> = Box<dyn FnOnce(Result<T, Failure>) + Send>;

/// The name of a comparison in the list of background jobs.
pub(crate) const COMPARISON: &str = "comparison";

/// The progress and the outcome of a background job.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobReport {
    /// Name of its run; [`COMPARISON`] for a comparison.
    pub(crate) run: String,
    /// Why it failed or was stopped; `None` while it runs and after it has finished.
    pub(crate) failure: Option<Failure>,
    pub(crate) is_running: bool,
    /// Notes and warnings.
    pub(crate) notes: Vec<Block>,
    /// The live table of a comparison, replaced by its reply at the end.
    pub(crate) live_table: Vec<Block>,
    /// The current part of a comparison.
    pub(crate) progress: JobProgress,
    /// Numbers of the trials to stop early, from 1.
    pub(crate) stops: Vec<usize>,
    /// Trials to add.
    pub(crate) clones: Vec<TrialClone>,
}

/// A part of a job and how much of it is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobProgress {
    pub(crate) label: String,
    pub(crate) done: u64,
    pub(crate) total: u64,
}

/// A trial to add: a copy of another one with some keys changed.
#[derive(Clone, Debug)]
pub(crate) struct TrialClone {
    /// Number of the trial to copy, from 1.
    pub(crate) number: usize,
    pub(crate) keys: Vec<(String, String)>,
}

/// Connects a background job to its cell until the cell has its reply, and to the job's report
/// afterwards.
pub(crate) struct ForegroundHandoff {
    done: Mutex<Option<ReplyCallback<Reply>>>,
    reports: Arc<JobReports>,
}

/// The background jobs of a session, oldest first.
#[derive(Default)]
pub(crate) struct JobReports(Mutex<Vec<JobReport>>);

impl JobReports {
    fn lock(&self) -> MutexGuard<'_, Vec<JobReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All reports, oldest first.
    pub(crate) fn all(&self) -> Vec<JobReport> {
        self.lock().clone()
    }

    /// Edits the newest report; `None` when there is none.
    pub(crate) fn edit_newest<T>(&self, edit: impl FnOnce(&mut JobReport) -> T) -> Option<T> {
        self.lock().last_mut().map(edit)
    }
}

impl ForegroundHandoff {
    pub(crate) fn new(done: ReplyCallback<Reply>, reports: Arc<JobReports>) -> Self {
        Self { done: Mutex::new(Some(done)), reports }
    }

    /// Returns the event while the cell has no reply yet. The event that starts the job sends the
    /// cell its reply; later events go to the report or are dropped.
    pub(crate) fn forward(&self, event: Event) -> Option<Event> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.is_none() {
            self.reports.edit_newest(|report| report.take(event));
            return None;
        }
        let (report, reply) = match event {
            Event::RunStarted(started) => {
                let reply = started_run(&started.run);
                (JobReport { run: started.run, ..JobReport::default() }, reply)
            }
            Event::LiveTable(live_table) => {
                let run = COMPARISON.to_owned();
                (JobReport { run, live_table, ..JobReport::default() }, started_comparison())
            }
            event => return Some(event),
        };
        self.reports.lock().push(JobReport { is_running: true, ..report });
        if let Some(done) = done.take() {
            done(Ok(Reply::text(reply)));
        }
        None
    }

    /// Records the result of a job that has ended. The cell of a job that never started still needs
    /// its reply: it is returned together with the result.
    pub(crate) fn finish(
        &self,
        result: Result<Reply, Failure>,
    ) -> Option<(ReplyCallback<Reply>, Result<Reply, Failure>)> {
        if let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Some((done, result));
        }
        self.reports.edit_newest(|report| {
            report.is_running = false;
            match result {
                Ok(reply) if report.run == COMPARISON => report.live_table = reply.blocks,
                Ok(_) => {}
                Err(failure) => report.failure = Some(failure),
            }
        });
        None
    }
}

impl JobReport {
    /// Records an event.
    fn take(&mut self, event: Event) {
        match event {
            Event::Note { level, text } => self.notes.push(Block::Note(level, text)),
            Event::Block(block) => self.notes.push(block),
            Event::LiveTable(live_table) => self.live_table = live_table,
            Event::Progress { label, done, total } => {
                self.progress = JobProgress { label, done, total };
            }
            _ => {}
        }
    }
}

fn started_run(run: &str) -> String {
    format!(
        "`{run}` is training in the background: %watch shows its loss curve, %stop stops it; \
         %generate, %eval and %compare work meanwhile"
    )
}

fn started_comparison() -> String {
    "the comparison is running in the background: %watch shows its progress, %trial stop 1 stops \
     one trial, %stop stops all; %generate, %eval and %compare use your own adapter meanwhile"
        .to_owned()
}
