//! The columns of the metrics of the key `metric`: each value with its interval.

use graft_metrics::Score;
use graft_protocol::{Cell, Table};
use graft_train::runs::TrialRecord;

use super::super::{
    results::{ComparisonResults, TrialResults, recorded},
    statistics::{half_interval, mean},
};
use super::ACCURACY;
use crate::verbs::eval::{number_text, score_text};

/// Adds a column for each metric at `place`, of which the rows of a table have one cell each. The
/// last rows are those of the trials, the first one that of the base.
pub(super) fn add(
    table: &mut Table,
    rows: &mut [Vec<Cell>],
    results: &ComparisonResults<'_>,
    place: usize,
) {
    let first_trial = rows.len() - results.trials.len();
    for (index, score) in results.base.metrics.iter().enumerate() {
        let place = place + index;
        let mut new = Table::new("", &[&format!("#{}", score.metric)]);
        table.columns.insert(place, new.columns.remove(0));
        for (number, cells) in rows.iter_mut().enumerate() {
            let trial = number.checked_sub(first_trial).and_then(|it| results.trials.get(it));
            let cell = match (trial, number) {
                (Some(trial), _) => of_trial(trial, score),
                (None, 0) => of_base(score),
                // The majority class writes no text.
                _ if score.metric == "accuracy" => cells[ACCURACY].clone(),
                _ => Cell::Empty,
            };
            cells.insert(place, cell);
        }
    }
}

/// What the intervals are; `None` without metrics.
pub(super) fn note(results: &ComparisonResults<'_>) -> Option<String> {
    if results.base.metrics.is_empty() {
        return None;
    }
    let seeds = if results.grid.seeds() > 1 {
        "; after ±: half of the 95 % interval of the mean over the seeds"
    } else {
        ""
    };
    let name = &results.metric.name;
    Some(format!("`{name}` ranks the trials; in brackets: 95 % bootstrap intervals{seeds}"))
}

fn of_base(score: &Score) -> Cell {
    let value = recorded(score);
    Cell::Text(score_text(score.scale, value.value, value.interval))
}

/// The value of the only seed with the interval of its examples, or the mean over the seeds with
/// the interval of the mean.
fn of_trial(trial: &TrialResults, score: &Score) -> Cell {
    let found = |record: &TrialRecord| {
        record.metrics.iter().find(|found| found.metric == score.metric).cloned()
    };
    let all: Vec<_> = trial.records().into_iter().filter_map(found).collect();
    match all.as_slice() {
        [] => Cell::Empty,
        [one] => Cell::Text(score_text(score.scale, one.value, one.interval)),
        several => {
            let values: Vec<f64> = several.iter().map(|found| found.value).collect();
            let half = half_interval(&values)
                .map_or_else(String::new, |half| format!(" ± {}", number_text(score.scale, half)));
            Cell::Text(format!("{}{half}", score_text(score.scale, mean(&values), None)))
        }
    }
}
