//! The table, the charts and the sentence below them.

use graft_protocol::{Cell, Chart, Series, SeriesStyle, Table, chart::NonFinite};
use graft_spec::{ablation::Ablation, number::decimals, training::ABLATE};
use graft_train::{
    Evaluation,
    runs::{RunFolder, TrialRecord},
};

use super::{
    Found, Row,
    statistics::{differ, half_interval, mean},
};
use crate::verbs::advice::{Course, SMALLER, rate};

/// Cells of a row.
const CELLS: usize = 11;
/// More configurations than these share one name in the picture.
const MOST_NAMED: usize = 12;
/// Configurations whose weights are named.
const MOST_WEIGHTS: usize = 8;

/// What is compared: the accuracy where the data has labels, else the loss.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) has_labels: bool,
}

impl Metric {
    pub(super) fn of(base: &Evaluation) -> Self {
        let has_labels = base.accuracy.is_some();
        Self { name: if has_labels { "accuracy" } else { "loss" }, has_labels }
    }

    pub(super) fn value(&self, record: &TrialRecord) -> f64 {
        if self.has_labels { record.accuracy.unwrap_or(f64::NAN) } else { record.loss }
    }

    /// Of an evaluation on the same kind of data.
    pub(super) fn of_evaluation(&self, found: &Evaluation) -> f64 {
        if self.has_labels { found.accuracy.unwrap_or(f64::NAN) } else { found.loss }
    }

    pub(super) fn cell(&self, value: f64) -> Cell {
        if self.has_labels { Cell::Percent(value, 1) } else { Cell::Float(value, 3) }
    }

    /// Whether `one` is better than `other`.
    fn prefers(&self, one: f64, other: f64) -> bool {
        if self.has_labels { one > other } else { one < other }
    }
}

impl Row {
    pub(super) fn records(&self) -> Vec<&TrialRecord> {
        self.results.iter().filter_map(|result| result.as_ref().ok()).collect()
    }

    pub(super) fn values(&self, metric: &Metric) -> Vec<f64> {
        self.records().iter().map(|record| metric.value(record)).collect()
    }

    /// By how much each seed's loss on the base's own domain has risen from `before`, nats a token.
    pub(super) fn forgotten(&self, before: f64) -> Vec<f64> {
        self.records().iter().filter_map(|record| Some(record.domain.last()?.1 - before)).collect()
    }

    /// How many of its trainings went well.
    pub(super) fn status(&self, seeds: u64) -> String {
        if let Some(step) = self.records().iter().find_map(|record| record.stopped) {
            return format!("given up at step {step}");
        }
        match self.results.iter().find_map(|result| result.as_ref().err()) {
            Some(failure) => format!(
                "{} of {seeds} failed: {}",
                self.results.len() - self.records().len(),
                failure.message
            ),
            None if (self.results.len() as u64) < seeds => {
                format!("{} of {seeds} done", self.results.len())
            }
            None => "done".to_owned(),
        }
    }

    fn trainable(&self) -> u64 {
        self.records().first().map_or(0, |record| record.trainable)
    }
}

/// What `%ablate` answers.
pub(super) fn tell(found: &Found<'_>) -> (Table, Vec<Chart>) {
    let Found { rows, base, grid, data, domain } = found;
    let mut table = table(rows, base, grid, data);
    if let Some((name, before)) = domain {
        let rows_before = table.rows.len() - rows.len();
        let status = table.columns.len() - 1;
        let mut of_domain = Table::new("", &["#forgotten"]);
        table.columns.insert(status, of_domain.columns.remove(0));
        for (index, cells) in table.rows.iter_mut().enumerate() {
            let row = index.checked_sub(rows_before).and_then(|index| rows.get(index));
            let lost = row.map(|row| mean(&row.forgotten(*before))).filter(|lost| lost.is_finite());
            cells.insert(status, lost.map_or(Cell::Empty, |lost| Cell::Float(lost, 3)));
        }
        table.footer.push(format!(
            "forgotten: by how many nats a token the loss on {name} has risen from the base's {}",
            decimals(*before, 3)
        ));
    }
    (table, charts(rows, base))
}

/// One row a configuration, between the base and what the majority class would be.
fn table(rows: &[Row], base: &Evaluation, grid: &Ablation, data: &str) -> Table {
    let metric = Metric::of(base);
    let split = grid.settings.text(ABLATE, "split").unwrap_or_default();
    let title = format!(
        "{data}, {split} split, {} examples, {}",
        base.examples,
        if grid.seeds() == 1 { "1 seed".to_owned() } else { format!("{} seeds", grid.seeds()) }
    );
    let mut table = Table::new(
        title,
        &[
            "trial",
            "#trainable",
            "#%",
            "#alpha/r",
            "#loss",
            &format!("#{}", metric.name),
            "#± 95 %",
            "#seconds",
            "#tokens/s",
            "#MB",
            "status",
        ],
    );
    if !metric.has_labels {
        table.columns.remove(5);
    }
    let mut add = |mut cells: Vec<Cell>| {
        if !metric.has_labels {
            cells.remove(5);
        }
        table.row(cells);
    };
    let plain = |name: &str, loss: Cell, value: Cell| {
        let mut cells = vec![
            Cell::Text(name.to_owned()),
            Cell::Integer(0),
            Cell::Empty,
            Cell::Empty,
            loss,
            value,
        ];
        cells.resize(CELLS, Cell::Empty);
        cells
    };
    add(plain(
        "untuned base",
        Cell::Float(base.loss, 3),
        base.accuracy.map_or(Cell::Empty, |accuracy| metric.cell(accuracy)),
    ));
    if let Some(majority) = base.majority {
        add(plain("majority class", Cell::Empty, metric.cell(majority)));
    }
    rows.iter().for_each(|row| add(cells(row, &metric, grid.seeds())));
    table.footer.extend(grid.scaling.clone());
    let sought = || {
        let times = super::search::FACTORS.map(|factor| factor.to_string()).join(", ");
        format!(
            "lr was sought for each configuration among {times} times its method's default, by short trainings with the first seed"
        )
    };
    table.footer.extend(grid.search_lr.then(sought));
    table.footer.extend(
        grid.trials
            .iter()
            .any(|trial| !grid.search_lr && !trial.train.values.contains_key("lr"))
            .then(|| "where lr is not given, each method trains with its own default".to_owned()),
    );
    table
        .footer
        .push("MB: what the training takes beside the shared base, predicted from its sizes (adapter, gradients, optimizer states, activations)".to_owned());
    if grid.halves() {
        table.footer.push("early=halving: the half with the higher training loss was given up after a quarter of the steps, and half of the rest at the middle; a slow starter may be among them".to_owned());
    }
    table.footer.push(sentence(rows, &metric));
    table.footer.extend(beaten(rows, &metric, base));
    table
}

/// What to do when not even the best configuration is better than the base: that depends on how its training went.
fn beaten(rows: &[Row], metric: &Metric, base: &Evaluation) -> Option<String> {
    let (value, of_base) = (|row: &Row| mean(&row.values(metric)), metric.of_evaluation(base));
    let scored = rows.iter().filter(|row| value(row).is_finite());
    let best = scored
        .reduce(|best, row| if metric.prefers(value(row), value(best)) { row } else { best })?;
    let is_perfect = metric.has_labels && of_base >= 1.0;
    if is_perfect || metric.prefers(value(best), of_base) {
        return None;
    }
    let record = best.records().into_iter().next()?;
    let losses: Vec<f64> = record.curve.iter().map(|(_, loss)| *loss).collect();
    let what = match (Course::of_losses(&losses), best.lr().or(best.rate)) {
        (Course::Rose(..), Some(lr)) => format!("its training loss rose, so the learning rate is too large: lr={}", rate(lr * SMALLER)),
        (Course::Rose(..), None) => "its training loss rose, so the learning rate is too large: name smaller ones, or lr=auto".to_owned(),
        (Course::Fell(..), _) => "its training loss fell, so it fits its training examples and not these: fewer steps, more data, or a smaller rank".to_owned(),
        (Course::Short, _) => format!("{} steps show little: name more", losses.len()),
        _ => "its training loss did not fall: name larger learning rates, more steps, or lr=auto".to_owned(),
    };
    Some(format!(
        "no configuration is better than the untuned base; the best of them is `{}`, and {what}",
        best.label
    ))
}

fn cells(row: &Row, metric: &Metric, seeds: u64) -> Vec<Cell> {
    let (records, values) = (row.records(), row.values(metric));
    let of = |value: fn(&TrialRecord) -> f64| {
        mean(&records.iter().map(|record| value(record)).collect::<Vec<_>>())
    };
    let status = row.status(seeds);
    let Some(first) = records.first() else {
        let mut cells = vec![Cell::Text(row.label.clone())];
        cells.resize(CELLS - 1, Cell::Empty);
        cells.push(Cell::Text(status));
        return cells;
    };
    let spread = half_interval(&values).map_or(Cell::Empty, |half| metric.cell(half));
    vec![
        Cell::Text(row.label.clone()),
        Cell::Integer(first.trainable as i64),
        Cell::Percent(first.trainable as f64 / first.total.max(1) as f64, 3),
        row.scale.map_or(Cell::Empty, |scale| Cell::Float(scale, 2)),
        Cell::Float(of(|record| record.loss), 3),
        metric.cell(mean(&values)),
        spread,
        Cell::Float(of(|record| record.seconds), 1),
        first.cost.map_or(Cell::Empty, |_| {
            Cell::Integer(of(|record| record.cost.map_or(f64::NAN, |cost| cost.0)) as i64)
        }),
        first
            .cost
            .map_or(Cell::Empty, |(_, bytes)| Cell::Integer(bytes.div_ceil(1_000_000) as i64)),
        Cell::Text(status),
    ]
}

/// How the weights of the trials are reached; none where their runs are gone.
pub(super) fn weights(rows: &[Row]) -> Option<String> {
    let base = crate::verbs::runs::base();
    let is_there = |record: &&TrialRecord| {
        RunFolder::at(&base.join(&record.run)).is_some_and(|run| !run.checkpoints().is_empty())
    };
    let line = |row: &Row| {
        let runs: Vec<_> = row
            .records()
            .into_iter()
            .filter(is_there)
            .map(|record| format!("`%runs use {}`", record.run))
            .collect();
        (!runs.is_empty()).then(|| format!("{}: {}", row.label, runs.join(", ")))
    };
    let lines: Vec<_> = rows.iter().take(MOST_WEIGHTS).filter_map(line).collect();
    let more = if rows.len() > MOST_WEIGHTS { "; `%runs` lists the others" } else { "" };
    (!lines.is_empty())
        .then(|| format!("the weights of each trial are kept; {}{more}", lines.join("; ")))
}

/// What the data allow to say, and no more.
fn sentence(rows: &[Row], metric: &Metric) -> String {
    let complete: Vec<&Row> = rows.iter().filter(|row| !row.is_over()).collect();
    let value = |row: &Row| mean(&row.values(metric));
    let Some(best) = complete
        .iter()
        .copied()
        .reduce(|best, row| if metric.prefers(value(row), value(best)) { row } else { best })
    else {
        return "no configuration was trained with every seed".to_owned();
    };
    if complete.len() == 1 && rows.len() > 1 {
        return format!("`{}` is what is left of {} configurations", best.label, rows.len());
    }
    if complete.len() == 1 {
        return "one configuration alone: add values to compare, such as r=1,4,16".to_owned();
    }
    if best.results.len() < 2 {
        return format!(
            "`{}` has the best {}, but with one seed no difference can be told from noise: add seeds=3",
            best.label, metric.name
        );
    }
    let alike: Vec<&Row> = complete
        .iter()
        .copied()
        .filter(|row| !differ(&row.values(metric), &best.values(metric)))
        .collect();
    let cheapest = alike.iter().copied().min_by_key(|row| row.trainable()).unwrap_or(best);
    match alike.len() {
        count if count == complete.len() => {
            format!(
                "these seeds show no difference in {} between the configurations; `{}` has the fewest parameters",
                metric.name, cheapest.label
            )
        }
        1 => format!(
            "`{}` has the best {}, and differs from every other by more than the seeds do",
            best.label, metric.name
        ),
        count => format!(
            "`{}` has the best {}; {} cannot be told from it with these seeds, the one with the fewest parameters being `{}`",
            best.label,
            metric.name,
            if count == 2 { "1 other".to_owned() } else { format!("{} others", count - 1) },
            cheapest.label
        ),
    }
}

/// The metric over the trained parameters, and the curves of the first seed.
fn charts(rows: &[Row], base: &Evaluation) -> Vec<Chart> {
    let metric = Metric::of(base);
    let by_size = Chart {
        title: format!("{} by trained parameters", metric.name),
        x_label: "trained parameters".to_owned(),
        y_label: if metric.has_labels {
            "accuracy, share".to_owned()
        } else {
            "loss, nats".to_owned()
        },
        log_x: true,
        series: by_size(rows, &metric, base.accuracy.unwrap_or(base.loss)),
        ..Chart::default()
    };
    let line = |row: &Row| {
        let record = *row.records().first()?;
        let points =
            record.curve.iter().map(|(step, loss)| (*step as f64, NonFinite(*loss))).collect();
        Some(Series { name: row.label.clone(), style: SeriesStyle::Line, points })
    };
    let curves = Chart {
        title: "training loss, first seed, running mean".to_owned(),
        x_label: "step".to_owned(),
        y_label: "loss, nats".to_owned(),
        series: rows.iter().filter_map(line).collect(),
        ..Chart::default()
    };
    vec![by_size, curves]
        .into_iter()
        .filter(|chart| chart.series.iter().any(|series| series.points.len() > 1))
        .collect()
}

/// A point for each configuration, the untuned base, and the front of those that nothing of their size or smaller beats.
fn by_size(rows: &[Row], metric: &Metric, base: f64) -> Vec<Series> {
    let point = |row: &Row| (row.trainable() as f64, mean(&row.values(metric)));
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter(|row| !row.records().is_empty()).map(point).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some(least), Some(most)) =
        (points.first().map(|point| point.0), points.last().map(|point| point.0))
    else {
        return Vec::new();
    };
    let mut front: Vec<(f64, f64)> = Vec::new();
    for &(size, value) in &points {
        if front.last().is_none_or(|best| metric.prefers(value, best.1)) {
            front.push((size, value));
        }
    }
    let series = |name: &str, style, points: Vec<(f64, f64)>| {
        let points = points.into_iter().map(|(x, y)| (x, NonFinite(y))).collect();
        Series { name: name.to_owned(), style, points }
    };
    let mut all =
        vec![series("untuned base", SeriesStyle::Faint, vec![(least, base), (most, base)])];
    if front.len() > 1 {
        all.push(series("front", SeriesStyle::Faint, front));
    }
    if rows.len() <= MOST_NAMED {
        all.extend(
            rows.iter()
                .filter(|row| !row.records().is_empty())
                .map(|row| series(&row.label, SeriesStyle::Dots, vec![point(row)])),
        );
    } else {
        all.push(series("configurations, mean over seeds", SeriesStyle::Dots, points));
    }
    all
}
