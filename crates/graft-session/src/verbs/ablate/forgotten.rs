//! `%forgetting METHODS`: what each configuration gains on the data and what it loses on the base's own domain.

use graft_protocol::{Cell, Chart, Series, SeriesStyle, Table, chart::NonFinite};
use graft_spec::number::decimals;

use super::{
    Found, Row,
    report::Metric,
    statistics::{half_interval, mean},
};

/// Less than this, in nats a token, is no forgetting worth a ratio.
const NOTHING: f64 = 0.005;

/// The table and the charts.
pub(super) fn tell(found: &Found<'_>) -> (Table, Vec<Chart>) {
    let (name, before) = found.domain.clone().unwrap_or_default();
    (table(found, &name, before), vec![course(found, &name, before), trade(found, before)])
}

fn table(found: &Found<'_>, name: &str, before: f64) -> Table {
    let metric = Metric::of(&found.base);
    let seeds = found.grid.seeds();
    let title = format!(
        "trained on {}, remembered of {name}, {}",
        found.data,
        if seeds == 1 { "1 seed".to_owned() } else { format!("{seeds} seeds") }
    );
    let gained = format!("#{} on {}", metric.name, found.data);
    let mut table = Table::new(
        title,
        &[
            "trial",
            "#trainable",
            &gained,
            &format!("#loss on {name}"),
            "#perplexity",
            "#forgotten",
            "#± 95 %",
            "status",
        ],
    );
    let base = metric.cell(found.base.accuracy.unwrap_or(found.base.loss));
    let mut first = vec![
        Cell::Text("untuned base".to_owned()),
        Cell::Integer(0),
        base,
        Cell::Float(before, 3),
        Cell::Float(before.exp(), 1),
    ];
    first.resize(table.columns.len(), Cell::Empty);
    table.row(first);
    for row in &found.rows {
        let (records, lost) = (row.records(), row.forgotten(before));
        let mut cells = vec![Cell::Text(row.label.clone())];
        if let (Some(record), false) = (records.first(), lost.is_empty()) {
            let after = before + mean(&lost);
            cells.extend([
                Cell::Integer(record.trainable as i64),
                metric.cell(mean(&row.values(&metric))),
                Cell::Float(after, 3),
                Cell::Float(after.exp(), 1),
            ]);
            cells.extend([
                Cell::Float(mean(&lost), 3),
                half_interval(&lost).map_or(Cell::Empty, |half| Cell::Float(half, 3)),
            ]);
        }
        cells.resize(table.columns.len() - 1, Cell::Empty);
        cells.push(Cell::Text(row.status(seeds)));
        table.row(cells);
    }
    table.footer.push(format!("forgotten: by how many nats a token the loss on {name}, text like that the base was trained on, has risen"));
    table.footer.push(
        "measured while it acts: switched off, every adapter gives the base back as it was, and `full` gives it back from the copy that is kept".to_owned(),
    );
    table.footer.push(sentence(&found.rows, before));
    table
}

/// Who forgets most, and how many times as much as the one that forgets least.
fn sentence(rows: &[Row], before: f64) -> String {
    let mut lost: Vec<(&str, f64)> = rows
        .iter()
        .map(|row| (row.label.as_str(), mean(&row.forgotten(before))))
        .filter(|(_, lost)| lost.is_finite())
        .collect();
    lost.sort_by(|one, other| one.1.total_cmp(&other.1));
    let (Some(least), Some(most)) = (lost.first(), lost.last()) else {
        return "no configuration was trained".to_owned();
    };
    match () {
        () if most.1 < NOTHING => {
            "none of them has forgotten anything that this text shows".to_owned()
        }
        () if lost.len() == 1 => {
            format!(
                "`{}` has forgotten {} nats a token; name others to compare, such as %forgetting lora,full",
                most.0,
                decimals(most.1, 3)
            )
        }
        () if least.1 < NOTHING => {
            format!(
                "`{}` forgets most, {} nats a token; `{}` forgets nothing that this text shows",
                most.0,
                decimals(most.1, 3),
                least.0
            )
        }
        () => {
            let (times, [most_lost, least_lost]) =
                (decimals(most.1 / least.1, 1), [most.1, least.1].map(|lost| decimals(lost, 3)));
            format!(
                "`{}` forgets most, {times} times what `{}` forgets ({most_lost} beside {least_lost} nats a token)",
                most.0, least.0
            )
        }
    }
}

/// The loss on the domain while each is trained, first seed.
fn course(found: &Found<'_>, name: &str, before: f64) -> Chart {
    let line = |row: &Row| {
        let points = row
            .records()
            .first()?
            .domain
            .iter()
            .map(|(step, loss)| (*step as f64, NonFinite(*loss)))
            .collect();
        Some(Series { name: row.label.clone(), style: SeriesStyle::Line, points })
    };
    let mut series: Vec<Series> = found.rows.iter().filter_map(line).collect();
    let last = series
        .iter()
        .filter_map(|series| series.points.last())
        .map(|point| point.0)
        .fold(0.0, f64::max);
    let flat = vec![(0.0, NonFinite(before)), (last, NonFinite(before))];
    series.insert(
        0,
        Series { name: "untuned base".to_owned(), style: SeriesStyle::Faint, points: flat },
    );
    Chart {
        title: format!("loss on {name} while training, first seed"),
        x_label: "step".to_owned(),
        y_label: "loss, nats per token".to_owned(),
        series,
        ..Chart::default()
    }
}

/// What was gained over what was forgotten, means over the seeds.
fn trade(found: &Found<'_>, before: f64) -> Chart {
    let metric = Metric::of(&found.base);
    let dot = |name: &str, lost: f64, gained: f64| Series {
        name: name.to_owned(),
        style: SeriesStyle::Dots,
        points: vec![(lost, NonFinite(gained))],
    };
    let base = dot("untuned base", 0.0, found.base.accuracy.unwrap_or(found.base.loss));
    let rows = found
        .rows
        .iter()
        .map(|row| dot(&row.label, mean(&row.forgotten(before)), mean(&row.values(&metric))));
    let series =
        std::iter::once(base).chain(rows.filter(|series| series.points[0].0.is_finite())).collect();
    Chart {
        title: format!("{} on {} over what was forgotten", metric.name, found.data),
        x_label: "forgotten, nats per token".to_owned(),
        y_label: if metric.has_labels {
            "accuracy, share".to_owned()
        } else {
            "loss, nats".to_owned()
        },
        series,
        ..Chart::default()
    }
}
