//! The tables of `%eval`.

use graft_metrics::{Scale, Score};
use graft_protocol::{Block, Cell, ConfusionMatrix, Reply, Table};
use graft_spec::number::{decimals, percent};
use graft_train::Evaluation;

use super::{Measured, Scores};

/// Most classes of a confusion matrix.
const MOST_CLASSES: usize = 20;

impl Scores {
    /// The reply to `%eval`: the table and, with a metric of classes, the confusion matrix.
    pub fn reply(&self) -> Reply {
        let mut blocks = vec![Block::Table(self.table())];
        blocks.extend(self.confusion().map(Block::Confusion));
        Reply { blocks }
    }

    /// The confusion matrix of the adapter, or of the base without one; `None` without a metric of
    /// classes.
    pub fn confusion(&self) -> Option<ConfusionMatrix> {
        let metrics = self.metrics.as_ref()?;
        let (measured, who) = match (&metrics.adapter, &metrics.base, &self.adapter) {
            (Some(measured), _, Some((name, verb, _))) => (measured, format!("{name} ({verb})")),
            (_, Some(measured), _) => (measured, "base".to_owned()),
            _ => return None,
        };
        let classes = measured.classes.as_ref()?;
        let title = format!("{}, {} split: {who}", self.data, self.split);
        let shown = classes.most_common(MOST_CLASSES);
        Some(ConfusionMatrix {
            title,
            names: shown.names().to_vec(),
            counts: shown.matrix(),
            note: "rows: expected class; columns: predicted class".to_owned(),
        })
    }

    /// The table with metrics: one row each, one column per model.
    pub(super) fn table_of_metrics(&self) -> Table {
        let metrics = self.metrics.clone().unwrap_or_default();
        let mut columns: Vec<(String, &Evaluation, Option<&Measured>)> = Vec::new();
        columns.extend(
            self.base.as_ref().map(|base| ("base".to_owned(), base, metrics.base.as_ref())),
        );
        columns.extend(self.adapter.as_ref().map(|(name, verb, evaluation)| {
            (format!("{name} ({verb})"), evaluation, metrics.adapter.as_ref())
        }));
        let headers: Vec<String> = columns.iter().map(|(name, ..)| format!("#{name}")).collect();
        let headers: Vec<&str> =
            std::iter::once("metric").chain(headers.iter().map(String::as_str)).collect();
        let mut table = Table::new(format!("{}, {} split", self.data, self.split), &headers);
        let mut row = |name: &str, cell: &dyn Fn(&Evaluation) -> Cell| {
            let cells = columns.iter().map(|(_, evaluation, _)| cell(evaluation));
            table.row(std::iter::once(Cell::Text(name.to_owned())).chain(cells).collect());
        };
        row("loss", &|evaluation| Cell::Float(evaluation.loss, 3));
        // A loss on pairs of answers has no perplexity.
        if columns.iter().any(|(_, evaluation, _)| evaluation.rewards.is_some()) {
            let share = |share: f64| Cell::Percent(share, 1);
            row("accuracy", &|evaluation| evaluation.accuracy.map_or(Cell::Empty, share));
            row("reward margin", &|evaluation| {
                let margin = evaluation.rewards.map(|rewards| rewards.margin());
                margin.map_or(Cell::Empty, |margin| Cell::Float(margin, 3))
            });
        } else {
            row("perplexity", &|evaluation| Cell::Float(evaluation.perplexity, 2));
        }
        row("examples", &|evaluation| Cell::Integer(evaluation.examples as i64));
        let measured: Vec<&Measured> = columns.iter().filter_map(|(.., it)| *it).collect();
        for place in 0..measured.first().map_or(0, |it| it.scores.len()) {
            let name = measured[0].scores[place].metric.clone();
            let text = |score: &Score| {
                let interval = score.interval.map(|interval| (interval.low, interval.high));
                score_text(score.scale, score.value, interval)
            };
            let cells = measured.iter().map(|it| Cell::Text(text(&it.scores[place])));
            table.row(std::iter::once(Cell::Text(name)).chain(cells).collect());
        }
        let majority = columns.iter().find_map(|(_, evaluation, _)| evaluation.majority);
        table.footer.extend(majority.map(|share| {
            format!("accuracy of always predicting the most common label: {} %", percent(share, 1))
        }));
        table.footer.push("in brackets: 95 % bootstrap intervals".to_owned());
        table.footer.extend(measured.iter().flat_map(|it| it.notes.iter().cloned()));
        table
    }
}

/// The value with its interval: `51.0 % [45.1, 56.9]`.
pub(crate) fn score_text(scale: Scale, value: f64, interval: Option<(f64, f64)>) -> String {
    let unit = if scale == Scale::Share { " %" } else { "" };
    let interval = interval.map_or_else(String::new, |(low, high)| {
        format!(" [{}, {}]", number_text(scale, low), number_text(scale, high))
    });
    format!("{}{unit}{interval}", number_text(scale, value))
}

/// A value or the end of an interval, without its unit.
pub(crate) fn number_text(scale: Scale, value: f64) -> String {
    match scale {
        Scale::Share => percent(value, 1),
        Scale::Points => decimals(value, 1),
        Scale::Number => decimals(value, 3),
    }
}
