//! The report of `%forgetting METHODS`: what each configuration gains on the data and forgets of
//! the base's own domain.

use graft_protocol::{Cell, Chart, Series, SeriesStyle, Table, chart::NonFinite};
use graft_spec::number::decimals;

use super::{
    results::{ComparisonResults, DomainBase, Metric, TrialResults},
    statistics::{half_interval, mean},
};

/// Smallest increase of the loss that counts as forgetting, in nats per token.
const MIN_FORGOTTEN: f64 = 0.005;

/// The table and the charts.
pub(super) fn render(results: &ComparisonResults<'_>) -> (Table, Vec<Chart>) {
    let domain = results.domain.clone().unwrap_or_default();
    let charts = vec![loss_curves(results, &domain), trade_off(results, &domain)];
    (table(results, &domain), charts)
}

fn table(results: &ComparisonResults<'_>, domain: &DomainBase) -> Table {
    let ComparisonResults { trials, base, metric, data, .. } = results;
    let title =
        format!("trained on {data}, forgetting of {}, {}", domain.name, results.seeds_text());
    let mut table = Table::new(
        title,
        &[
            "trial",
            "#trainable",
            &format!("#{} on {data}", metric.name),
            &format!("#loss on {}", domain.name),
            "#perplexity",
            "#forgotten",
            "#± 95 %",
            "status",
        ],
    );
    let mut first = vec![
        Cell::Text("untuned base".to_owned()),
        Cell::Integer(0),
        metric.cell(metric.of_scored(base)),
        Cell::Float(domain.loss, 3),
        Cell::Float(domain.loss.exp(), 1),
    ];
    first.resize(table.columns.len(), Cell::Empty);
    table.row(first);
    for trial in trials {
        let mut cells = row(trial, metric, domain.loss);
        cells.resize(table.columns.len() - 1, Cell::Empty);
        cells.push(Cell::Text(trial.status(results.grid.seeds())));
        table.row(cells);
    }
    table.footer.extend(footnotes(domain));
    table.footer.push(conclusion(trials, domain.loss));
    table
}

fn footnotes(domain: &DomainBase) -> [String; 2] {
    let forgotten = format!(
        "forgotten: increase of the loss on {}, text like the base's training data, in nats per \
         token",
        domain.name
    );
    let measured = "measured with the adapter active; without it the base is unchanged (`full` \
                    restores it from a copy)";
    [forgotten, measured.to_owned()]
}

/// The row of a configuration without its status.
fn row(trial: &TrialResults, metric: &Metric, before: f64) -> Vec<Cell> {
    let mut cells = vec![Cell::Text(trial.label.clone())];
    let lost = trial.forgotten(before);
    if let (Some(record), false) = (trial.records().first(), lost.is_empty()) {
        let after = before + mean(&lost);
        cells.extend([
            Cell::Integer(record.trainable as i64),
            metric.cell(trial.mean(metric)),
            Cell::Float(after, 3),
            Cell::Float(after.exp(), 1),
            Cell::Float(mean(&lost), 3),
            half_interval(&lost).map_or(Cell::Empty, |half| Cell::Float(half, 3)),
        ]);
    }
    cells
}

/// Which configuration forgets the most, compared with the one that forgets the least.
fn conclusion(trials: &[TrialResults], before: f64) -> String {
    let mut lost: Vec<(&str, f64)> = trials
        .iter()
        .map(|trial| (trial.label.as_str(), mean(&trial.forgotten(before))))
        .filter(|(_, lost)| lost.is_finite())
        .collect();
    lost.sort_by(|one, other| one.1.total_cmp(&other.1));
    let (Some(&(least, least_lost)), Some(&(most, most_lost))) = (lost.first(), lost.last()) else {
        return "no configuration was trained".to_owned();
    };
    let [most_text, least_text] = [most_lost, least_lost].map(|lost| decimals(lost, 3));
    if most_lost < MIN_FORGOTTEN {
        return "no measurable forgetting".to_owned();
    }
    if lost.len() == 1 {
        return format!(
            "`{most}` forgets {most_text} nats per token; name other methods to compare, such as \
             %forgetting lora,full"
        );
    }
    if least_lost < MIN_FORGOTTEN {
        return format!(
            "`{most}` forgets the most, {most_text} nats per token; `{least}` forgets nothing \
             measurable"
        );
    }
    format!(
        "`{most}` forgets the most, {} times as much as `{least}` ({most_text} and {least_text} \
         nats per token)",
        decimals(most_lost / least_lost, 1)
    )
}

/// The loss on the domain during training, first seed.
fn loss_curves(results: &ComparisonResults<'_>, domain: &DomainBase) -> Chart {
    let line = |trial: &TrialResults| {
        let curve = &trial.records().first()?.domain;
        let points = curve.iter().map(|(step, loss)| (*step as f64, NonFinite(*loss))).collect();
        Some(Series {
            name: trial.label.clone(),
            style: SeriesStyle::Line,
            points,
            labels: Vec::new(),
        })
    };
    let mut series: Vec<Series> = results.trials.iter().filter_map(line).collect();
    let last = series
        .iter()
        .filter_map(|series| series.points.last())
        .map(|point| point.0)
        .fold(0.0, f64::max);
    let points = vec![(0.0, NonFinite(domain.loss)), (last, NonFinite(domain.loss))];
    let base = Series {
        name: "untuned base".to_owned(),
        style: SeriesStyle::Faint,
        points,
        labels: Vec::new(),
    };
    series.insert(0, base);
    Chart {
        title: format!("loss on {} during training, first seed", domain.name),
        x_label: "step".to_owned(),
        y_label: "loss, nats per token".to_owned(),
        series,
        ..Chart::default()
    }
}

/// The metric on the data against forgetting, means over the seeds.
fn trade_off(results: &ComparisonResults<'_>, domain: &DomainBase) -> Chart {
    let metric = &results.metric;
    let dot = |name: &str, lost: f64, gained: f64| Series {
        name: name.to_owned(),
        style: SeriesStyle::Dots,
        points: vec![(lost, NonFinite(gained))],
        labels: Vec::new(),
    };
    let base = dot("untuned base", 0.0, metric.of_scored(&results.base));
    let trials = results
        .trials
        .iter()
        .map(|trial| dot(&trial.label, mean(&trial.forgotten(domain.loss)), trial.mean(metric)));
    let series = std::iter::once(base)
        .chain(trials.filter(|series| series.points[0].0.is_finite()))
        .collect();
    Chart {
        title: format!("{} on {} and forgetting", metric.name, results.data),
        x_label: "forgotten, nats per token".to_owned(),
        y_label: metric.axis().to_owned(),
        series,
        ..Chart::default()
    }
}
