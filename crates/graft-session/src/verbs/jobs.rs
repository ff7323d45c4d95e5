//! `%jobs`, `%stop`, `%watch`: a training in the background.

use std::time::Duration;

use graft_protocol::{Block, Cell, Event, Reply, RunStarted, Table};
use graft_spec::{Failure, training::TRAIN};
use graft_train::runs::{RunFolder, RunRecord};

use super::runs::base;
use crate::{
    CommandContext, SessionError,
    background::{COMPARISON, Report},
};

/// How long a stop waits for the training's next step and its checkpoint.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most steps that a curve is begun with.
const MOST_SHOWN: usize = 10_000;
/// Time between two looks at a ledger.
const LOOK: Duration = Duration::from_millis(250);

/// The trainings that this session has put into the background, newest first.
///
/// # Errors
/// None yet.
pub fn table(desk: &CommandContext) -> Result<Table, Failure> {
    let mut table = Table::new(
        "trainings in the background",
        &["run", "state", "#step", "#of", "#loss", "#seconds"],
    );
    for report in desk.background().iter().rev() {
        if report.run == COMPARISON {
            let (_, done, total) = report.progress;
            let mut row = vec![
                Cell::Text(report.run.clone()),
                Cell::Text(state(report)),
                Cell::Integer(done as i64),
                Cell::Integer(total as i64),
            ];
            row.resize(table.columns.len(), Cell::Empty);
            table.row(row);
            continue;
        }
        let record =
            folder(Some(&report.run)).and_then(|folder| Ok(folder.record()?)).unwrap_or_default();
        let last = record.steps.last();
        let mut row = vec![Cell::Text(report.run.clone()), Cell::Text(state(report))];
        row.extend([
            last.map_or(Cell::Integer(0), |step| Cell::Integer(step.step as i64)),
            planned(&record).map_or(Cell::Empty, |steps| Cell::Integer(steps as i64)),
        ]);
        row.extend([
            last.map_or(Cell::Empty, |step| Cell::Float(step.loss, 3)),
            last.map_or(Cell::Empty, |step| Cell::Float(step.elapsed_seconds, 1)),
        ]);
        table.row(row);
    }
    if table.rows.is_empty() {
        table.footer.push("none; `%train bg=true` trains in the background".to_owned());
    }
    Ok(table)
}

/// Name of the newest run in the background.
pub fn newest(desk: &CommandContext) -> Option<String> {
    desk.background().pop().map(|report| report.run)
}

/// Ends the training in the background at its next step.
///
/// # Errors
/// [`SessionError::NoBackground`].
pub fn stop(desk: &CommandContext) -> Result<String, Failure> {
    if !desk.stop_background(PATIENCE) {
        return Err(SessionError::NoBackground.into());
    }
    let report = desk.background().pop().ok_or(SessionError::NoBackground)?;
    if report.is_running {
        return Ok(format!("`{}` has been asked to stop and ends with its step", report.run));
    }
    if report.run == COMPARISON {
        return Ok("the comparison has stopped; what is finished is kept, and so is what is half-way: the same line goes on, `%watch` shows how far it came"
            .to_owned());
    }
    let step = folder(Some(&report.run))?.record()?.steps.last().map_or(0, |step| step.step);
    Ok(format!(
        "`{}` has stopped after step {step}; model, adapter and curve are kept, and `%resume {}` goes on",
        report.run, report.run
    ))
}

/// Shows the curve of a run from its ledger, and goes on showing it while it is trained in the background.
///
/// # Errors
/// Those of reading the ledger; [`SessionError::Interrupted`] when the user stops watching, which stops nothing else.
pub fn watch(desk: &CommandContext, run: Option<&str>) -> Result<Reply, Failure> {
    if run.or(newest(desk).as_deref()) == Some(COMPARISON) {
        return watch_comparison(desk);
    }
    let folder = folder(run.or(newest(desk).as_deref()))?;
    let name = folder.name();
    let mut seen = folder.record()?;
    desk.emit(Event::RunStarted(started(&name, &seen)));
    while is_running(desk, &name) {
        if desk.is_stopping() {
            let (what, next) = (
                format!("stopped watching; `{name}` goes on"),
                Some("`%watch` looks again, `%stop` ends it".to_owned()),
            );
            return Err(SessionError::Interrupted { what, next }.into());
        }
        std::thread::sleep(LOOK);
        show_new(desk, &mut seen, folder.record()?);
    }
    show_new(desk, &mut seen, folder.record()?);
    if let Some(ended) = seen.ended {
        desk.emit(Event::RunEnded(ended));
    }
    let report = desk.background().into_iter().rfind(|report| report.run == name);
    Ok(Reply { blocks: report.map(said).unwrap_or_default() })
}

/// Shows how the comparison in the background stands until it ends, then its answer.
fn watch_comparison(desk: &CommandContext) -> Result<Reply, Failure> {
    loop {
        let report = desk
            .background()
            .into_iter()
            .rfind(|report| report.run == COMPARISON)
            .ok_or(SessionError::NoBackground)?;
        if !report.is_running {
            // One that was stopped, or has failed, still shows how far it came.
            return Ok(Reply {
                blocks: report.standing.clone().into_iter().chain(said(report)).collect(),
            });
        }
        if desk.is_stopping() {
            let (what, next) = (
                "stopped watching; the comparison goes on".to_owned(),
                Some("`%watch` looks again, `%stop` ends it".to_owned()),
            );
            return Err(SessionError::Interrupted { what, next }.into());
        }
        let (label, done, total) = report.progress;
        desk.emit(Event::Progress { label, done, total });
        desk.emit(Event::LiveTable(report.standing));
        std::thread::sleep(LOOK);
    }
}

/// What a run has said beside its curve, and why it failed.
fn said(report: Report) -> Vec<Block> {
    let failure = report.failure.filter(|failure| failure.code != "session::interrupted");
    report
        .notes
        .into_iter()
        .chain(
            failure.map(|failure| Block::Note(graft_protocol::Level::Warning, failure.to_string())),
        )
        .collect()
}

fn is_running(desk: &CommandContext, run: &str) -> bool {
    desk.background().iter().any(|report| report.run == run && report.is_running)
}

/// Emits what the ledger has that was not there before.
fn show_new(desk: &CommandContext, seen: &mut RunRecord, now: RunRecord) {
    let last = seen.steps.last().map_or(0, |step| step.step);
    now.steps.iter().filter(|step| step.step > last).for_each(|step| desk.emit(Event::Step(*step)));
    now.validations
        .iter()
        .skip(seen.validations.len())
        .for_each(|validation| desk.emit(Event::Validation(*validation)));
    *seen = now;
}

fn started(name: &str, record: &RunRecord) -> RunStarted {
    let header = record.header.clone().unwrap_or_default();
    let first_step = record.steps.last().map_or(0, |step| step.step);
    RunStarted {
        run: name.to_owned(),
        title: header.title,
        first_step,
        steps: planned(record).unwrap_or(first_step),
        trainable: header.trainable,
        total: header.total,
        earlier: record.thinned(MOST_SHOWN),
        earlier_validations: record.validations.clone(),
    }
}

fn planned(record: &RunRecord) -> Option<u64> {
    record.current_header()?.train.integer(TRAIN, "steps").map(i64::unsigned_abs)
}

fn state(report: &Report) -> String {
    match &report.failure {
        _ if report.is_running && report.run == COMPARISON => "compares".to_owned(),
        _ if report.is_running => "trains".to_owned(),
        None => "done".to_owned(),
        Some(failure) if failure.code == "session::interrupted" => "stopped".to_owned(),
        Some(failure) => format!("failed: {}", failure.message),
    }
}

fn folder(run: Option<&str>) -> Result<RunFolder, Failure> {
    Ok(RunFolder::open(&base(), run)?)
}
