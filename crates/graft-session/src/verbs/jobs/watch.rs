//! `%watch`: the live display of a background job.

use std::time::Duration;

use graft_protocol::{Block, Event, Level, Reply, RunStarted};
use graft_spec::{Failure, training::TRAIN};
use graft_train::runs::RunRecord;

use super::{folder, newest, planned_steps};
use crate::{
    CommandContext, SessionError,
    background::{COMPARISON, JobReport},
};

/// Most steps of the curve at the start.
const MAX_STEPS: usize = 10_000;
/// Time between two reads of the ledger.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Shows the loss curve of a run from its ledger, and updates it while the run trains in the
/// background.
///
/// # Errors
/// Those of reading the ledger; [`SessionError::Interrupted`] when the user stops watching, which
/// does not stop the job.
pub fn watch(cx: &CommandContext, run: Option<&str>) -> Result<Reply, Failure> {
    if run.or(newest(cx).as_deref()) == Some(COMPARISON) {
        return watch_comparison(cx);
    }
    let folder = folder(run.or(newest(cx).as_deref()))?;
    let name = folder.name();
    let mut seen = folder.record()?;
    cx.emit(Event::RunStarted(started(&name, &seen)));
    while is_running(cx, &name) {
        if cx.is_stopping() {
            return Err(stopped_watching(&format!("`{name}`")).into());
        }
        std::thread::sleep(POLL_INTERVAL);
        show_new(cx, &mut seen, folder.record()?);
    }
    show_new(cx, &mut seen, folder.record()?);
    if let Some(ended) = seen.ended {
        cx.emit(Event::RunEnded(ended));
    }
    let report = cx.background_jobs().into_iter().rfind(|report| report.run == name);
    Ok(Reply { blocks: report.map(notes).unwrap_or_default() })
}

/// Shows the live table of the comparison until it ends, then its report.
fn watch_comparison(cx: &CommandContext) -> Result<Reply, Failure> {
    loop {
        let report = cx
            .background_jobs()
            .into_iter()
            .rfind(|report| report.run == COMPARISON)
            .ok_or(SessionError::NoBackground)?;
        if !report.is_running {
            // A comparison that was stopped or has failed still shows its last live table.
            let table = report.live_table.clone();
            return Ok(Reply { blocks: table.into_iter().chain(notes(report)).collect() });
        }
        if cx.is_stopping() {
            return Err(stopped_watching("the comparison").into());
        }
        let progress = report.progress;
        cx.emit(Event::Progress {
            label: progress.label,
            done: progress.done,
            total: progress.total,
        });
        cx.emit(Event::LiveTable(report.live_table));
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn stopped_watching(what: &str) -> SessionError {
    SessionError::Interrupted {
        what: format!("stopped watching; {what} is still running"),
        next: Some("`%watch` shows it again, `%stop` stops it".to_owned()),
    }
}

/// The notes of a job and the failure that ended it.
fn notes(report: JobReport) -> Vec<Block> {
    let failure = report.failure.filter(|failure| failure.code != "session::interrupted");
    report
        .notes
        .into_iter()
        .chain(failure.map(|failure| Block::Note(Level::Warning, failure.to_string())))
        .collect()
}

fn is_running(cx: &CommandContext, run: &str) -> bool {
    cx.background_jobs().iter().any(|report| report.run == run && report.is_running)
}

/// Emits the records of `now` that are not in `seen`.
fn show_new(cx: &CommandContext, seen: &mut RunRecord, now: RunRecord) {
    let last = seen.steps.last().map_or(0, |step| step.step);
    now.steps.iter().filter(|step| step.step > last).for_each(|step| cx.emit(Event::Step(*step)));
    now.validations
        .iter()
        .skip(seen.validations.len())
        .for_each(|validation| cx.emit(Event::Validation(*validation)));
    *seen = now;
}

fn started(name: &str, record: &RunRecord) -> RunStarted {
    let header = record.header.clone().unwrap_or_default();
    let first_step = record.steps.last().map_or(0, |step| step.step);
    RunStarted {
        run: name.to_owned(),
        title: header.title,
        first_step,
        steps: planned_steps(record).unwrap_or(first_step),
        trainable: header.trainable,
        total: header.total,
        earlier: record.thinned(MAX_STEPS),
        earlier_validations: record.validations.clone(),
        best: header.train.text(TRAIN, "best").unwrap_or_default(),
    }
}
