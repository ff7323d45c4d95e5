//! A comparison while it is under way: a row for each configuration, and the curves.

use std::time::{Duration, Instant};

use graft_protocol::{Block, Cell, Chart, Event, Series, SeriesStyle, Table, chart::NonFinite};

use super::{
    Row,
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
}

/// What the reader sees of it.
pub(super) struct Standing<'a> {
    bench: &'a Bench<'a>,
    rows: &'a [Row],
    shown: Option<Instant>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(bench: &'a Bench<'a>, rows: &'a [Row]) -> Self {
        Self { bench, rows, shown: None }
    }

    /// Shows how it stands, unless it was shown a moment ago.
    pub(super) fn show(&mut self, under: &[Under<'_>]) {
        if self.shown.is_some_and(|shown| shown.elapsed() < NEWS) {
            return;
        }
        self.shown = Some(Instant::now());
        self.bench.desk.emit(Event::Standing(vec![Block::Table(self.table(under)), Block::Chart(self.chart(under))]));
    }

    fn table(&self, under: &[Under<'_>]) -> Table {
        let seeds = self.bench.grid.seeds();
        let mut table = Table::new("", &["#number", "trial", "status", "#trainable", "#%", "#training loss", "#tokens/s", "#MB"]);
        for (place, row) in self.rows.iter().enumerate() {
            let now = under.iter().find(|under| under.place == place);
            let mut cells = vec![Cell::Integer(place as i64 + 1), Cell::Text(row.label.clone()), Cell::Text(status(row, now, seeds))];
            cells.extend(now.map_or_else(Vec::new, |under| {
                let (trainable, total) = under.counts;
                let share = Cell::Percent(trainable as f64 / total.max(1) as f64, 3);
                let loss = under.heard.loss().map_or(Cell::Empty, |loss| Cell::Float(loss, 3));
                let speed = if under.heard.steps() == 0 { Cell::Empty } else { Cell::Integer(under.heard.tokens_per_second() as i64) };
                vec![Cell::Integer(trainable as i64), share, loss, speed, Cell::Integer(under.cost.div_ceil(1_000_000) as i64)]
            }));
            cells.resize(table.columns.len(), Cell::Empty);
            table.row(cells);
        }
        table
    }

    /// The curves of the seed that is under way, and of those that are finished.
    fn chart(&self, under: &[Under<'_>]) -> Chart {
        let line = |(place, row): (usize, &Row)| {
            let finished = row.records().first().map(|record| record.curve.as_slice());
            let curve = under.iter().find(|under| under.place == place).map(|under| under.heard.curve.as_slice()).or(finished)?;
            let every = curve.len().div_ceil(POINTS).max(1);
            let points = curve.iter().step_by(every).map(|(step, loss)| (*step as f64, NonFinite(*loss))).collect();
            Some(Series { name: row.label.clone(), style: SeriesStyle::Line, points })
        };
        Chart {
            title: "training loss, running mean".to_owned(),
            x_label: "step".to_owned(),
            y_label: "loss, nats".to_owned(),
            x_max: under.iter().map(|under| under.steps as f64).reduce(f64::max),
            series: self.rows.iter().enumerate().filter_map(line).filter(|series| !series.points.is_empty()).collect(),
            ..Chart::default()
        }
    }
}

fn status(row: &Row, under: Option<&Under<'_>>, seeds: u64) -> String {
    match under {
        Some(Under { stopped: Some(step), .. }) => format!("given up at step {step}"),
        Some(under) if seeds > 1 => format!("seed {} of {seeds}, step {} of {}", row.results.len() + 1, under.heard.steps(), under.steps),
        Some(under) => format!("step {} of {}", under.heard.steps(), under.steps),
        None if row.results.is_empty() => "waits".to_owned(),
        None => row.status(seeds),
    }
}
