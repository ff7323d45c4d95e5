//! `%jobs`, `%stop`, `%watch`: background jobs.

mod watch;

use std::time::Duration;

use graft_protocol::{Cell, Table};
use graft_spec::{Failure, training::TRAIN};
use graft_train::runs::{RunFolder, RunRecord};

pub use watch::watch;

use super::runs::base;
use crate::{
    CommandContext, SessionError,
    background::{COMPARISON, JobReport},
};

/// Longest time of `%stop` until the next step and its checkpoint are done.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The background jobs of this session, newest first.
///
/// # Errors
/// Currently none.
pub fn table(cx: &CommandContext) -> Result<Table, Failure> {
    let mut table =
        Table::new("background jobs", &["run", "state", "#step", "#of", "#loss", "#seconds"]);
    for report in cx.background_jobs().iter().rev() {
        table.row(if report.run == COMPARISON { comparison_row(report) } else { run_row(report) });
    }
    if table.rows.is_empty() {
        table.footer.push("none; `%train bg=true` trains in the background".to_owned());
    }
    Ok(table)
}

fn comparison_row(report: &JobReport) -> Vec<Cell> {
    vec![
        Cell::Text(report.run.clone()),
        Cell::Text(state(report)),
        Cell::Integer(report.progress.done as i64),
        Cell::Integer(report.progress.total as i64),
        Cell::Empty,
        Cell::Empty,
    ]
}

fn run_row(report: &JobReport) -> Vec<Cell> {
    let record =
        folder(Some(&report.run)).and_then(|folder| Ok(folder.record()?)).unwrap_or_default();
    let last = record.steps.last();
    vec![
        Cell::Text(report.run.clone()),
        Cell::Text(state(report)),
        last.map_or(Cell::Integer(0), |step| Cell::Integer(step.step as i64)),
        planned_steps(&record).map_or(Cell::Empty, |steps| Cell::Integer(steps as i64)),
        last.map_or(Cell::Empty, |step| Cell::Float(step.loss, 3)),
        last.map_or(Cell::Empty, |step| Cell::Float(step.elapsed_seconds, 1)),
    ]
}

/// The run of the newest background job.
pub fn newest(cx: &CommandContext) -> Option<String> {
    cx.background_jobs().pop().map(|report| report.run)
}

/// Stops the background job at its next step.
///
/// # Errors
/// [`SessionError::NoBackground`].
pub fn stop(cx: &CommandContext) -> Result<String, Failure> {
    if !cx.stop_background(STOP_TIMEOUT) {
        return Err(SessionError::NoBackground.into());
    }
    let report = cx.background_jobs().pop().ok_or(SessionError::NoBackground)?;
    if report.is_running {
        return Ok(format!("stopping `{}` after its current step", report.run));
    }
    if report.run == COMPARISON {
        return Ok(
            "stopped the comparison; finished and partial runs are kept: run the same line \
                   again to resume it, `%watch` shows its progress"
                .to_owned(),
        );
    }
    let run = &report.run;
    let step = folder(Some(run))?.record()?.steps.last().map_or(0, |step| step.step);
    Ok(format!(
        "stopped `{run}` after step {step}; model, adapter and loss curve are kept: \
         `%resume {run}` continues it"
    ))
}

fn state(report: &JobReport) -> String {
    match &report.failure {
        _ if report.is_running && report.run == COMPARISON => "comparing".to_owned(),
        _ if report.is_running => "training".to_owned(),
        None => "done".to_owned(),
        Some(failure) if failure.code == "session::interrupted" => "stopped".to_owned(),
        Some(failure) => format!("failed: {}", failure.message),
    }
}

fn planned_steps(record: &RunRecord) -> Option<u64> {
    record.current_header()?.train.integer(TRAIN, "steps").map(i64::unsigned_abs)
}

fn folder(run: Option<&str>) -> Result<RunFolder, Failure> {
    Ok(RunFolder::open(&base(), run)?)
}
