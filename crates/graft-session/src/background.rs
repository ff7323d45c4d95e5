//! Trainings and comparisons whose cell ends when they begin.
//!
//! Until the first step a background job speaks as any other does, so that what is wrong with it fails the cell. Then it hands the cell its reply and
//! falls silent: the ledger has its course, and what it says beside that is kept for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graft_protocol::{Block, Event, Reply};
use graft_spec::Failure;

/// What a caller waits for.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T, Failure>) + Send>;

/// What a comparison is called among the runs in the background.
pub(crate) const COMPARISON: &str = "comparison";

/// How a training or a comparison in the background stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Name of its run; [`COMPARISON`] of a comparison.
    pub(crate) run: String,
    /// Why it failed or was stopped; none while it runs and when it has done all its steps.
    pub(crate) failure: Option<Failure>,
    /// Whether it runs.
    pub(crate) is_running: bool,
    /// What it has said beside its course.
    pub(crate) notes: Vec<Block>,
    /// How a comparison stands, and its answer when it has ended.
    pub(crate) standing: Vec<Block>,
    /// What a comparison does now, how much of it is done, and of how much.
    pub(crate) progress: (String, u64, u64),
    /// Numbers of the trials that are to be given up, from 1.
    pub(crate) stops: Vec<usize>,
    /// Trials that are to be added: the number of another, and what differs.
    pub(crate) clones: Vec<(usize, Vec<(String, String)>)>,
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
    pub(crate) fn change<T>(&self, edit: impl FnOnce(&mut Report) -> T) -> Option<T> {
        self.lock().last_mut().map(edit)
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
                let text = format!(
                    "`{}` trains in the background: %watch shows its curve, %stop ends it; %generate, %eval and %compare answer meanwhile",
                    started.run
                );
                self.hand_over(
                    &mut done,
                    Report { run: started.run, is_running: true, ..Report::default() },
                    text,
                );
                None
            }
            (Event::LiveTable(standing), true) => {
                let text =
                    "the comparison goes on in the background: %watch shows how it stands, %trial stop 1 gives one up, %stop ends it; %generate, %eval and \
                            %compare answer with your own adapter meanwhile"
                        .to_owned();
                self.hand_over(
                    &mut done,
                    Report {
                        run: COMPARISON.to_owned(),
                        is_running: true,
                        standing,
                        ..Report::default()
                    },
                    text,
                );
                None
            }
            (event, true) => Some(event),
            (event, false) => {
                self.reports.change(|report| match event {
                    Event::Note { level, text } => report.notes.push(Block::Note(level, text)),
                    Event::LiveTable(standing) => report.standing = standing,
                    Event::Progress { label, done, total } => {
                        report.progress = (label, done, total)
                    }
                    Event::Block(block) => report.notes.push(block),
                    _ => {}
                });
                None
            }
        }
    }

    /// The job has begun: its cell gets its reply.
    fn hand_over(&self, done: &mut Option<Done<Reply>>, report: Report, text: String) {
        self.reports.lock().push(report);
        if let Some(done) = done.take() {
            done(Ok(Reply::text(text)));
        }
    }

    /// The job is over; the cell of one that never began still waits for its answer.
    pub(crate) fn end(
        &self,
        result: Result<Reply, Failure>,
    ) -> Option<(Done<Reply>, Result<Reply, Failure>)> {
        if let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Some((done, result));
        }
        self.reports.change(|report| {
            report.is_running = false;
            match result {
                Ok(reply) if report.run == COMPARISON => report.standing = reply.blocks,
                Ok(_) => {}
                Err(failure) => report.failure = Some(failure),
            }
        });
        None
    }
}
