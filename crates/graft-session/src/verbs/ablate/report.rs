//! The report of `%ablate`: a table and two charts.

mod charts;
mod metric_columns;

use graft_protocol::{Cell, Chart, Table};
use graft_spec::{number::decimals, training::ABLATE};
use graft_train::runs::{RunFolder, TrialRecord};

use super::{
    results::{ComparisonResults, DomainBase, Metric, Scored, TrialResults},
    search::FACTORS,
    statistics::{half_interval, mean},
    verdict,
};
use crate::verbs::runs;

/// Columns of the table.
const COLUMNS: [&str; 11] = [
    "trial",
    "#trainable",
    "#%",
    "#alpha/r",
    "#loss",
    "#accuracy",
    "#± 95 %",
    "#seconds",
    "#tokens/s",
    "#MB",
    "status",
];
/// Index of the column that only data with labels has, unless `metric` names the accuracy too.
const ACCURACY: usize = 5;
/// Index of the interval of loss or accuracy. Metrics of the key `metric` have theirs in the cell.
const SPREAD: usize = 6;
/// Most configurations whose weights are listed.
const MAX_WEIGHTS: usize = 8;

/// The table and the charts.
pub(super) fn render(results: &ComparisonResults<'_>) -> (Table, Vec<Chart>) {
    let mut table = table(results);
    if let Some(domain) = &results.domain {
        add_forgotten(&mut table, results, domain);
    }
    (table, charts::charts(results))
}

/// Adds a column with what each configuration has forgotten of the base's own domain.
fn add_forgotten(table: &mut Table, results: &ComparisonResults<'_>, domain: &DomainBase) {
    let trials = &results.trials;
    let first_trial = table.rows.len() - trials.len();
    let status = table.columns.len() - 1;
    let mut forgotten = Table::new("", &["#forgotten"]);
    table.columns.insert(status, forgotten.columns.remove(0));
    for (index, cells) in table.rows.iter_mut().enumerate() {
        let trial = index.checked_sub(first_trial).and_then(|index| trials.get(index));
        let lost =
            trial.map(|trial| mean(&trial.forgotten(domain.loss))).filter(|lost| lost.is_finite());
        cells.insert(status, lost.map_or(Cell::Empty, |lost| Cell::Float(lost, 3)));
    }
    table.footer.push(format!(
        "forgotten: increase of the loss on {} over the base's {}, in nats per token",
        domain.name,
        decimals(domain.loss, 3)
    ));
}

/// One row per configuration, after the base and the majority class.
fn table(results: &ComparisonResults<'_>) -> Table {
    let ComparisonResults { trials, base, metric, grid, data, .. } = results;
    let Scored { evaluation, metrics } = base;
    let split = grid.settings.text(ABLATE, "split").unwrap_or_default();
    let examples = evaluation.examples;
    let title = format!("{data}, {split} split, {examples} examples, {}", results.seeds_text());
    let mut table = Table::new(title, &COLUMNS);
    let accuracy = evaluation.accuracy.map_or(Cell::Empty, accuracy_cell);
    let mut rows = vec![reference("untuned base", Cell::Float(evaluation.loss, 3), accuracy)];
    if let Some(majority) = evaluation.majority {
        rows.push(reference("majority class", Cell::Empty, accuracy_cell(majority)));
    }
    rows.extend(trials.iter().map(|trial| row(trial, metric, grid.seeds())));
    let mut place = SPREAD + 1;
    if metric.is_named() {
        table.columns.remove(SPREAD);
        rows.iter_mut().for_each(|row| drop(row.remove(SPREAD)));
        place = SPREAD;
    }
    metric_columns::add(&mut table, &mut rows, results, place);
    if evaluation.accuracy.is_none() || metrics.iter().any(|score| score.metric == "accuracy") {
        table.columns.remove(ACCURACY);
        rows.iter_mut().for_each(|row| drop(row.remove(ACCURACY)));
    }
    rows.into_iter().for_each(|row| table.row(row));
    table.footer.extend(footnotes(results));
    table.footer.extend(metric_columns::note(results));
    table.footer.push(verdict::conclusion(trials, metric));
    table.footer.extend(verdict::not_better(trials, metric, base));
    table
}

fn accuracy_cell(accuracy: f64) -> Cell {
    Cell::Percent(accuracy, 1)
}

/// The row of something that was not trained.
fn reference(name: &str, loss: Cell, accuracy: Cell) -> Vec<Cell> {
    let mut cells =
        vec![Cell::Text(name.to_owned()), Cell::Integer(0), Cell::Empty, Cell::Empty, loss];
    cells.push(accuracy);
    cells.resize(COLUMNS.len(), Cell::Empty);
    cells
}

/// The row of a configuration.
fn row(trial: &TrialResults, metric: &Metric, seeds: u64) -> Vec<Cell> {
    let records = trial.records();
    let values = trial.values(metric);
    let mean_of = |value: fn(&TrialRecord) -> f64| {
        mean(&records.iter().map(|record| value(record)).collect::<Vec<_>>())
    };
    let status = Cell::Text(trial.status(seeds));
    let Some(first) = records.first() else {
        let mut cells = vec![Cell::Text(trial.label.clone())];
        cells.resize(COLUMNS.len() - 1, Cell::Empty);
        cells.push(status);
        return cells;
    };
    let spread = half_interval(&values).map_or(Cell::Empty, |half| metric.cell(half));
    let speed = first.cost.map_or(Cell::Empty, |_| {
        Cell::Integer(mean_of(|record| record.cost.map_or(f64::NAN, |cost| cost.0)) as i64)
    });
    let memory = first
        .cost
        .map_or(Cell::Empty, |(_, bytes)| Cell::Integer(bytes.div_ceil(1_000_000) as i64));
    vec![
        Cell::Text(trial.label.clone()),
        Cell::Integer(first.trainable as i64),
        Cell::Percent(first.trainable as f64 / first.total.max(1) as f64, 3),
        trial.scale.map_or(Cell::Empty, |scale| Cell::Float(scale, 2)),
        Cell::Float(mean_of(|record| record.loss), 3),
        first.accuracy.map_or(Cell::Empty, |_| {
            accuracy_cell(mean_of(|record| record.accuracy.unwrap_or(f64::NAN)))
        }),
        spread,
        Cell::Float(mean_of(|record| record.seconds), 1),
        speed,
        memory,
        status,
    ]
}

/// Explanations of the columns and of the grid.
fn footnotes(results: &ComparisonResults<'_>) -> Vec<String> {
    let grid = results.grid;
    let mut notes: Vec<String> = grid.scaling.iter().cloned().collect();
    let uses_default_lr = |trial: &graft_spec::ablation::Trial| {
        !grid.search_lr && !trial.train.values.contains_key("lr")
    };
    if grid.search_lr {
        let times = FACTORS.map(|factor| factor.to_string()).join(", ");
        notes.push(format!(
            "lr: the best of {times} times the method's default, found for each configuration by \
             short training runs with the first seed"
        ));
    }
    if grid.trials.iter().any(uses_default_lr) {
        notes.push("lr: the method's default where not given".to_owned());
    }
    notes.push(
        "MB: predicted training memory on top of the shared base (adapter, gradients, optimizer \
         state, activations)"
            .to_owned(),
    );
    if grid.halves() {
        notes.push(
            "early=halving: the half with the higher training loss was stopped after a quarter of \
             the steps, and half of the rest after half of the steps; this can stop a \
             configuration that learns slowly at first"
                .to_owned(),
        );
    }
    notes
}

/// The commands that attach the weights of the trials; `None` if their runs are gone.
pub(super) fn weights(trials: &[TrialResults]) -> Option<String> {
    let base = runs::base();
    let is_there = |record: &&TrialRecord| {
        RunFolder::at(&base.join(&record.run)).is_some_and(|run| !run.checkpoints().is_empty())
    };
    let line = |trial: &TrialResults| {
        let runs: Vec<_> = trial
            .records()
            .into_iter()
            .filter(is_there)
            .map(|record| format!("`%runs use {}`", record.run))
            .collect();
        (!runs.is_empty()).then(|| format!("{}: {}", trial.label, runs.join(", ")))
    };
    let lines: Vec<_> = trials.iter().take(MAX_WEIGHTS).filter_map(line).collect();
    let more = if trials.len() > MAX_WEIGHTS { "; `%runs` lists the others" } else { "" };
    (!lines.is_empty())
        .then(|| format!("the weights of all trials are saved; {}{more}", lines.join("; ")))
}
