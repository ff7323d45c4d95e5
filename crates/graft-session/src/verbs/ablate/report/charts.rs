//! The charts of `%ablate`.

use graft_protocol::{Chart, Series, SeriesStyle, chart::NonFinite};

use super::super::results::{ComparisonResults, Metric, TrialResults};

/// With more configurations than this, all points share one name in the chart.
const MAX_NAMED: usize = 12;

/// The metric by the number of trainable parameters, and the loss curves of the first seed.
pub(super) fn charts(results: &ComparisonResults<'_>) -> Vec<Chart> {
    let metric = &results.metric;
    let base = metric.of_scored(&results.base);
    let by_size = Chart {
        title: format!("{} by trainable parameters", metric.name),
        x_label: "trainable parameters".to_owned(),
        y_label: metric.axis().to_owned(),
        log_x: true,
        series: by_size(&results.trials, metric, base),
        ..Chart::default()
    };
    let curves = Chart {
        title: "training loss, first seed, running mean".to_owned(),
        x_label: "step".to_owned(),
        y_label: "loss, nats".to_owned(),
        series: results.trials.iter().filter_map(curve).collect(),
        ..Chart::default()
    };
    vec![by_size, curves]
        .into_iter()
        .filter(|chart| chart.series.iter().any(|series| series.points.len() > 1))
        .collect()
}

fn curve(trial: &TrialResults) -> Option<Series> {
    let record = *trial.records().first()?;
    let points = record.curve.iter().map(|(step, loss)| (*step as f64, *loss)).collect();
    Some(series(&trial.label, SeriesStyle::Line, points))
}

/// One point per configuration, the untuned base, and the Pareto front: the configurations that no
/// configuration with as many or fewer parameters beats.
fn by_size(trials: &[TrialResults], metric: &Metric, base: f64) -> Vec<Series> {
    let trained = || trials.iter().filter(|trial| !trial.records().is_empty());
    let point = |trial: &TrialResults| (trial.trainable() as f64, trial.mean(metric));
    let mut points: Vec<(f64, f64)> = trained().map(point).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some(&(least, _)), Some(&(most, _))) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let mut front: Vec<(f64, f64)> = Vec::new();
    for &(size, value) in &points {
        if front.last().is_none_or(|best| metric.prefers(value, best.1)) {
            front.push((size, value));
        }
    }
    let mut all =
        vec![series("untuned base", SeriesStyle::Faint, vec![(least, base), (most, base)])];
    if front.len() > 1 {
        all.push(series("Pareto front", SeriesStyle::Faint, front));
    }
    if trials.len() <= MAX_NAMED {
        all.extend(
            trained().map(|trial| series(&trial.label, SeriesStyle::Dots, vec![point(trial)])),
        );
    } else {
        all.push(series("configurations, mean over seeds", SeriesStyle::Dots, points));
    }
    all
}

fn series(name: &str, style: SeriesStyle, points: Vec<(f64, f64)>) -> Series {
    let points = points.into_iter().map(|(x, y)| (x, NonFinite(y))).collect();
    Series { name: name.to_owned(), style, points, labels: Vec::new() }
}
