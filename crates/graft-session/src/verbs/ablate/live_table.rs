//! The live display of a comparison: a row and a curve for each configuration.

use std::time::{Duration, Instant};

use graft_protocol::{Block, Cell, Chart, Event, Series, SeriesStyle, Table, chart::NonFinite};

use super::{
    results::{Metric, TrialResults, stopped_early},
    runner::GridRunner,
    trial_log::TrialLog,
};

/// Shortest time between two updates.
const REDRAW_INTERVAL: Duration = Duration::from_millis(700);
/// Most points of a curve.
const MAX_POINTS: usize = 120;

/// The progress of a run without a result.
pub(super) struct TrialProgress<'a> {
    /// Index of its configuration.
    pub(super) place: usize,
    pub(super) log: &'a TrialLog,
    /// Planned steps.
    pub(super) steps: u64,
    /// Number of trainable parameters.
    pub(super) trainable: u64,
    /// Number of all parameters.
    pub(super) total: u64,
    /// Predicted memory in bytes.
    pub(super) memory: u64,
    /// The step at which it was stopped early.
    pub(super) stopped: Option<u64>,
    /// The metric at the last intermediate evaluation.
    pub(super) metric: Option<f64>,
}

/// Sends the live display of a comparison.
pub(super) struct LiveTable<'a> {
    runner: &'a GridRunner<'a>,
    metric: &'a Metric,
    last_update: Option<Instant>,
}

impl<'a> LiveTable<'a> {
    pub(super) fn new(runner: &'a GridRunner<'a>, metric: &'a Metric) -> Self {
        Self { runner, metric, last_update: None }
    }

    /// The compared quantity.
    pub(super) fn metric(&self) -> &'a Metric {
        self.metric
    }

    /// Updates the display, rate-limited.
    pub(super) fn show(&mut self, trials: &[TrialResults], active: &[TrialProgress<'_>]) {
        if self.last_update.is_some_and(|last| last.elapsed() < REDRAW_INTERVAL) {
            return;
        }
        self.show_now(trials, active);
    }

    /// Updates the display.
    pub(super) fn show_now(&mut self, trials: &[TrialResults], active: &[TrialProgress<'_>]) {
        self.last_update = Some(Instant::now());
        // After a stop no more steps follow, so the axis ends at the last one.
        let x_max = if self.runner.cx.is_stopping() {
            None
        } else {
            active.iter().map(|run| run.steps as f64).reduce(f64::max)
        };
        let chart = Chart { x_max, ..chart(trials, active) };
        self.runner.cx.emit(Event::LiveTable(vec![
            Block::Table(self.table(trials, active)),
            Block::Chart(chart),
        ]));
    }

    fn table(&self, trials: &[TrialResults], active: &[TrialProgress<'_>]) -> Table {
        let metric = format!("#{}", self.metric.column());
        let mut table = Table::new(
            "",
            &[
                "#number",
                "trial",
                "status",
                "#trainable",
                "#%",
                "#training loss",
                &metric,
                "#tokens/s",
                "#MB",
            ],
        );
        for (place, trial) in trials.iter().enumerate() {
            let active = active.iter().find(|run| run.place == place);
            table.row(self.row(place, trial, active));
        }
        table
    }

    fn row(
        &self,
        place: usize,
        trial: &TrialResults,
        active: Option<&TrialProgress<'_>>,
    ) -> Vec<Cell> {
        let integer =
            |number: Option<u64>| number.map_or(Cell::Empty, |number| Cell::Integer(number as i64));
        let counts = active
            .map(|run| (run.trainable, run.total))
            .or_else(|| trial.records().first().map(|record| (record.trainable, record.total)));
        let scored = Some(trial.mean(self.metric)).filter(|_| !trial.records().is_empty());
        let speed =
            active.filter(|run| run.log.steps() > 0).map(|run| run.log.tokens_per_second() as u64);
        vec![
            Cell::Integer(place as i64 + 1),
            Cell::Text(trial.label.clone()),
            Cell::Text(self.status(trial, active)),
            integer(counts.map(|(trainable, _)| trainable)),
            counts.map_or(Cell::Empty, |(trainable, total)| {
                Cell::Percent(trainable as f64 / total.max(1) as f64, 3)
            }),
            active.and_then(|run| run.log.loss()).map_or(Cell::Empty, |loss| Cell::Float(loss, 3)),
            active
                .and_then(|run| run.metric)
                .or(scored)
                .map_or(Cell::Empty, |value| self.metric.cell(value)),
            integer(speed),
            integer(active.map(|run| run.memory.div_ceil(1_000_000))),
        ]
    }

    fn status(&self, trial: &TrialResults, active: Option<&TrialProgress<'_>>) -> String {
        let seeds = self.runner.grid.seeds();
        let is_stopping = self.runner.cx.is_stopping();
        let stopped = if is_stopping { "stopped, " } else { "" };
        match active {
            Some(TrialProgress { stopped: Some(step), .. }) => stopped_early(*step),
            Some(run) if seeds > 1 => format!(
                "{stopped}seed {} of {seeds}, step {} of {}",
                trial.results.len() + 1,
                run.log.steps(),
                run.steps
            ),
            Some(run) => format!("{stopped}step {} of {}", run.log.steps(), run.steps),
            None if trial.results.is_empty() && is_stopping => "stopped, not started".to_owned(),
            None if trial.results.is_empty() => "queued".to_owned(),
            None => trial.status(seeds),
        }
    }
}

/// The loss curves of the active runs and of the finished trials.
fn chart(trials: &[TrialResults], active: &[TrialProgress<'_>]) -> Chart {
    let line = |(place, trial): (usize, &TrialResults)| {
        let finished = trial.records().first().map(|record| record.curve.as_slice());
        let current =
            active.iter().find(|run| run.place == place).map(|run| run.log.curve.as_slice());
        // Until the first step of a seed, the curve of the seed before is shown.
        let curve = current.filter(|curve| !curve.is_empty()).or(finished)?;
        let every = curve.len().div_ceil(MAX_POINTS).max(1);
        let points = curve
            .iter()
            .step_by(every)
            .map(|(step, loss)| (*step as f64, NonFinite(*loss)))
            .collect();
        Some(Series {
            name: trial.label.clone(),
            style: SeriesStyle::Line,
            points,
            labels: Vec::new(),
        })
    };
    Chart {
        title: "training loss, running mean".to_owned(),
        x_label: "step".to_owned(),
        y_label: "loss, nats".to_owned(),
        series: trials
            .iter()
            .enumerate()
            .filter_map(line)
            .filter(|series| !series.points.is_empty())
            .collect(),
        ..Chart::default()
    }
}
