//! A comparison while it is under way: a row for each configuration, and the curves.

use std::time::{Duration, Instant};

use graft_protocol::{Block, Cell, Chart, Event, Series, SeriesStyle, Table, chart::NonFinite};

use super::{
    Row,
    report::Metric,
    statistics::mean,
    trial::{Bench, Heard},
};

/// Time between two pictures.
const NEWS: Duration = Duration::from_millis(700);
/// Points of a curve that are drawn: more are not to be seen.
const POINTS: usize = 120;

/// A training that is under way.
pub(super) struct Under<'a> {
    pub(super) place: usize,
    pub(super) heard: &'a Heard,
    pub(super) steps: u64,
    /// Parameters trained, and all.
    pub(super) counts: (u64, u64),
    /// Predicted bytes.
    pub(super) cost: u64,
    pub(super) stopped: Option<u64>,
    /// What the last look on the way has found.
    pub(super) metric: Option<f64>,
}

/// What the reader sees of it.
pub(super) struct Standing<'a> {
    bench: &'a Bench<'a>,
    metric: &'a Metric,
    shown: Option<Instant>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(bench: &'a Bench<'a>, metric: &'a Metric) -> Self {
        Self { bench, metric, shown: None }
    }

    /// What is compared.
    pub(super) fn metric(&self) -> &'a Metric {
        self.metric
    }

    /// Shows how it stands, unless it was shown a moment ago.
    pub(super) fn show(&mut self, rows: &[Row], under: &[Under<'_>]) {
        if self.shown.is_some_and(|shown| shown.elapsed() < NEWS) {
            return;
        }
        self.tell(rows, under);
    }

    /// Shows how it stands now.
    pub(super) fn tell(&mut self, rows: &[Row], under: &[Under<'_>]) {
        self.shown = Some(Instant::now());
        self.bench.desk.emit(Event::LiveTable(vec![
            Block::Table(self.table(rows, under)),
            Block::Chart(chart(rows, under)),
        ]));
    }

    fn table(&self, rows: &[Row], under: &[Under<'_>]) -> Table {
        let seeds = self.bench.grid.seeds();
        let metric =
            format!("#{}", if self.metric.has_labels { "accuracy" } else { "held-out loss" });
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
        for (place, row) in rows.iter().enumerate() {
            let now = under.iter().find(|under| under.place == place);
            let mut cells = vec![
                Cell::Integer(place as i64 + 1),
                Cell::Text(row.label.clone()),
                Cell::Text(self.status(row, now, seeds)),
            ];
            let finished = row.values(self.metric);
            let scored = (!finished.is_empty()).then(|| mean(&finished));
            let (loss, speed) = now.map_or((None, None), |under| {
                (
                    under.heard.loss(),
                    (under.heard.steps() > 0).then(|| under.heard.tokens_per_second()),
                )
            });
            let integer = |number: Option<u64>| {
                number.map_or(Cell::Empty, |number| Cell::Integer(number as i64))
            };
            let counts = now
                .map(|under| under.counts)
                .or_else(|| row.records().first().map(|record| (record.trainable, record.total)));
            cells.extend([
                integer(counts.map(|(trainable, _)| trainable)),
                counts.map_or(Cell::Empty, |(trainable, total)| {
                    Cell::Percent(trainable as f64 / total.max(1) as f64, 3)
                }),
                loss.map_or(Cell::Empty, |loss| Cell::Float(loss, 3)),
                now.and_then(|under| under.metric)
                    .or(scored)
                    .map_or(Cell::Empty, |value| self.metric.cell(value)),
                integer(speed.map(|speed| speed as u64)),
                integer(now.map(|under| under.cost.div_ceil(1_000_000))),
            ]);
            table.row(cells);
        }
        table
    }

    fn status(&self, row: &Row, under: Option<&Under<'_>>, seeds: u64) -> String {
        let stopped = if self.bench.desk.is_stopping() { "stopped, " } else { "" };
        match under {
            Some(Under { stopped: Some(step), .. }) => format!("given up at step {step}"),
            Some(under) if seeds > 1 => format!(
                "{stopped}seed {} of {seeds}, step {} of {}",
                row.results.len() + 1,
                under.heard.steps(),
                under.steps
            ),
            Some(under) => format!("{stopped}step {} of {}", under.heard.steps(), under.steps),
            None if row.results.is_empty() => {
                if stopped.is_empty() { "waits" } else { "stopped before it began" }.to_owned()
            }
            None => row.status(seeds),
        }
    }
}

/// The curves of the seed that is under way, and of those that are finished.
fn chart(rows: &[Row], under: &[Under<'_>]) -> Chart {
    let line = |(place, row): (usize, &Row)| {
        let finished = row.records().first().map(|record| record.curve.as_slice());
        let now = under
            .iter()
            .find(|under| under.place == place)
            .map(|under| under.heard.curve.as_slice());
        // Until it has a step, that of the seed before stays.
        let curve = now.filter(|curve| !curve.is_empty()).or(finished)?;
        let every = curve.len().div_ceil(POINTS).max(1);
        let points = curve
            .iter()
            .step_by(every)
            .map(|(step, loss)| (*step as f64, NonFinite(*loss)))
            .collect();
        Some(Series { name: row.label.clone(), style: SeriesStyle::Line, points })
    };
    Chart {
        title: "training loss, running mean".to_owned(),
        x_label: "step".to_owned(),
        y_label: "loss, nats".to_owned(),
        x_max: under.iter().map(|under| under.steps as f64).reduce(f64::max),
        series: rows
            .iter()
            .enumerate()
            .filter_map(line)
            .filter(|series| !series.points.is_empty())
            .collect(),
        ..Chart::default()
    }
}
