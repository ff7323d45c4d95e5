//! `%ablate`: trains every configuration of a grid on the same data and compares the results.
//!
//! All trials share the base model. Each trial attaches an adapter under a name of its own, the
//! trials are trained in alternation and scored, and their adapters are detached again; the user's
//! own adapters do not change. A seed gives every configuration the same order of the data, and a
//! LoRA of rank 4 starts as the first rows of one of rank 16, so differences are paired by seed.

mod active_trial;
mod estimate;
mod forgetting_report;
mod live_table;
mod prepared_trial;
mod report;
mod results;
mod runner;
mod scheduler;
mod scoring;
mod search;
mod statistics;
mod trial_log;
mod verdict;

use std::sync::Arc;

use graft_protocol::{Block, Chart, Event, Level, Reply, Table};
use graft_spec::{
    Failure, Settings,
    ablation::{Ablation, Trial},
};
use graft_train::{
    TrainConfig,
    runs::{Trials, is_temporary},
};

use super::{adapters_disabled::AdaptersDisabled, domain::Domain, labels, runs, train};
use crate::{
    CommandContext, SessionError,
    background::TrialClone,
    state::{Comparison, LoadedData, Measure},
};
use results::{ComparisonResults, DomainBase, Metric};
use runner::{GridRunner, PrunedTrials};
use scoring::ComparedMetrics;

/// The report of a comparison.
#[derive(Clone, Debug)]
pub struct Report {
    /// The results of the configurations, the untuned base and the majority class.
    pub table: Table,
    charts: Vec<Chart>,
    notes: Vec<(Level, String)>,
}

/// Trains every configuration of the grid with every seed.
///
/// A trial that fails is marked and the others continue. When the user stops the comparison, the
/// finished trials are shown and kept; the same line resumes it.
///
/// # Errors
/// Those of [`Ablation::parse`] and [`graft_train::evaluate`]; [`SessionError::LargeGrid`] for a
/// large grid without `confirm=true`; [`SessionError::NoModel`], [`SessionError::NoData`]; the
/// failure of the first trial when no trial succeeds; [`SessionError::Interrupted`] when the user
/// stopped it.
pub fn ablate(
    cx: &CommandContext,
    methods: &[String],
    keys: &[(String, String)],
) -> Result<Report, Failure> {
    let grid = Ablation::parse(methods, keys)?;
    estimate::check_size(cx, &grid)?;
    start(cx, grid, Measure::Task)
}

/// Trains the configurations as [`ablate`] does and reports how much each forgets of the base
/// model's own domain.
///
/// # Errors
/// Those of [`ablate`]; [`SessionError::NoDomain`] when the domain of the base is unknown.
pub(super) fn forgetting(
    cx: &CommandContext,
    methods: &[String],
    keys: &[(String, String)],
) -> Result<Report, Failure> {
    let mut grid = Ablation::parse(methods, keys)?;
    grid.settings = Domain::with_default(&cx.state(), grid.settings)?;
    estimate::check_size(cx, &grid)?;
    start(cx, grid, Measure::Forgetting)
}

/// Runs a grid that has grown. Finished and pruned trials are not trained again.
///
/// # Errors
/// Those of [`ablate`].
pub(super) fn extend_grid(
    cx: &CommandContext,
    grid: Ablation,
    measure: Measure,
) -> Result<Report, Failure> {
    run_grid(cx, grid, measure, PrunedTrials::Keep)
}

fn start(cx: &CommandContext, grid: Ablation, measure: Measure) -> Result<Report, Failure> {
    let grid = with_stopped_clones(cx, grid, measure);
    run_grid(cx, grid, measure, PrunedTrials::Retrain)
}

/// The grid of a line. When the last comparison of the same line was stopped, its cloned trials are
/// included.
fn with_stopped_clones(cx: &CommandContext, grid: Ablation, measure: Measure) -> Ablation {
    let Some(last) = cx.state().compared.clone() else { return grid };
    let is_same_line = last.was_stopped
        && last.measure == measure
        && last.grid.search_lr == grid.search_lr
        && last.grid.settings == grid.settings
        && last.grid.trials.starts_with(&grid.trials);
    let clones = last.grid.trials.get(grid.trials.len()..).unwrap_or_default();
    if !is_same_line || clones.is_empty() {
        return grid;
    }
    let labels: Vec<_> = clones.iter().map(|trial| trial.label.as_str()).collect();
    cx.note(format!("includes what %trial clone added before the stop: {}", labels.join(", ")));
    last.grid.clone()
}

/// Trains the configurations of a grid and those that `%trial clone` adds meanwhile.
fn run_grid(
    cx: &CommandContext,
    mut grid: Ablation,
    measure: Measure,
    mut pruned: PrunedTrials,
) -> Result<Report, Failure> {
    loop {
        remember(cx, Comparison { grid: grid.clone(), measure, was_stopped: false });
        let outcome = compare(cx, &grid, measure, pruned);
        let clones = requested_clones(cx);
        if outcome.is_ok() && clones.is_empty() {
            return outcome;
        }
        for TrialClone { number, keys } in clones {
            match grid.with_clone(number, &keys) {
                Ok(extended) => grid = extended,
                // The same clone was requested twice.
                Err(error) => cx.warn(Failure::from(error).to_string()),
            }
        }
        if outcome.is_err() {
            remember(cx, Comparison { grid, measure, was_stopped: cx.is_stopping() });
            return outcome;
        }
        pruned = PrunedTrials::Keep;
    }
}

fn remember(cx: &CommandContext, comparison: Comparison) {
    let comparison = Arc::new(comparison);
    cx.change(|state| state.compared = Some(comparison.clone()));
}

/// Takes the clones that were requested while the comparison ran in the background.
fn requested_clones(cx: &CommandContext) -> Vec<TrialClone> {
    if !cx.is_background() {
        return Vec::new();
    }
    cx.edit_background_job(|report| std::mem::take(&mut report.clones)).unwrap_or_default()
}

/// The grid with a number of steps instead of epochs.
fn with_steps(
    cx: &CommandContext,
    grid: &Ablation,
    data: &LoadedData,
) -> Result<Ablation, Failure> {
    let mut grid = grid.clone();
    let model = cx.state().model()?;
    // The examples are encoded once for all trials that differ in keys of the method only.
    let mut known: Vec<((bool, Settings), Settings)> = Vec::new();
    for trial in &mut grid.trials {
        let given = (train::has_virtual_tokens(trial.method), trial.train.clone());
        let same = known.iter().find(|(known, _)| *known == given);
        let resolved = match same {
            Some((_, resolved)) => resolved.clone(),
            None => train::resolved_for(trial.method, Some(&model), &trial.train, data)?.settings,
        };
        trial.train = resolved.clone();
        known.push((given, resolved));
    }
    Ok(grid)
}

/// Warnings about keys of training that have no effect in any trial.
fn unused_keys(grid: &Ablation) -> Vec<String> {
    let of_trial = |trial: &Trial| {
        train::unused_keys(&trial.train, &TrainConfig::from_settings(&trial.train, 0.0, 0))
    };
    let mut all: Vec<Vec<String>> = grid.trials.iter().map(of_trial).collect();
    let first = all.pop().unwrap_or_default();
    first.into_iter().filter(|text| all.iter().all(|other| other.contains(text))).collect()
}

/// Trains and scores the trials of a grid that are not finished, and reports all of them.
fn compare(
    cx: &CommandContext,
    grid: &Ablation,
    measure: Measure,
    pruned: PrunedTrials,
) -> Result<Report, Failure> {
    let state = cx.state();
    state.model()?;
    let data = state.data(None)?;
    let grid = &with_steps(cx, grid, &data)?;
    let _disabled = AdaptersDisabled::new(&state)?;
    labels::warning(&state, &data)?.into_iter().for_each(|warning| cx.warn(warning));
    unused_keys(grid).into_iter().for_each(|text| cx.warn(text));
    if is_temporary(&runs::base()) {
        cx.warn(runs::TEMPORARY);
    }
    let mut finished = Trials::read(&runs::base());
    let domain = Domain::named(cx, &state, &grid.settings)?;
    let metrics = ComparedMetrics::of(&state, &grid.settings)?;
    let runner =
        GridRunner { cx, state: state.clone(), data: data.clone(), domain, grid, metrics, pruned };
    runner.check_metrics()?;
    let base = runner.score("the base")?;
    let domain =
        runner.domain.as_ref().map(|domain| DomainBase::measure(cx, domain)).transpose()?;
    let metric = Metric::of(&base, runner.metrics.first());
    let (trials, reused) = runner.train_all(&mut finished, &metric)?;
    cx.change(|state| state.runs = runs::names());
    let data = data.dataset.name.clone();
    let results = ComparisonResults { trials, base, metric, grid, data, domain };
    if let Some(failure) = results.first_failure() {
        return Err(failure);
    }
    let (table, charts) = match measure {
        Measure::Task => report::render(&results),
        Measure::Forgetting => forgetting_report::render(&results),
    };
    let total = runner.training_runs();
    let report = Report { table, charts, notes: notes(&results, reused, total, finished.damaged) };
    if !cx.is_stopping() {
        return Ok(report);
    }
    Err(stopped(cx, report, results.done(), total).into())
}

/// Shows the finished trials of a comparison that the user has stopped.
fn stopped(cx: &CommandContext, report: Report, done: u64, total: u64) -> SessionError {
    if done > 0 {
        report.reply().blocks.into_iter().for_each(|block| cx.emit(Event::Block(block)));
    }
    SessionError::Interrupted {
        what: format!(
            "stopped after {done} of {total} training runs; finished and partial runs are kept"
        ),
        next: Some("run the same line again to resume it".to_owned()),
    }
}

/// Notes below the report.
fn notes(
    results: &ComparisonResults<'_>,
    reused: usize,
    total: u64,
    damaged: usize,
) -> Vec<(Level, String)> {
    let mut notes: Vec<_> =
        report::weights(&results.trials).map(|text| (Level::Info, text)).into_iter().collect();
    if reused > 0 {
        let text = format!(
            "{reused} of {total} training runs were finished earlier and not repeated \
             (fresh=true trains them again)"
        );
        notes.push((Level::Info, text));
    }
    if damaged > 0 {
        notes.push((
            Level::Warning,
            format!("skipped {damaged} damaged lines of .graft/ablations.jsonl"),
        ));
    }
    notes
}

impl Report {
    /// A report that consists of a table.
    pub(super) fn of(table: Table) -> Self {
        Self { table, charts: Vec::new(), notes: Vec::new() }
    }

    /// The reply to `%ablate`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Table(self.table)];
        blocks.extend(self.charts.into_iter().map(Block::Chart));
        blocks.extend(self.notes.into_iter().map(|(level, text)| Block::Note(level, text)));
        Reply { blocks }
    }
}
