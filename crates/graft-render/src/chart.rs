//! The loss curve of a run.

use graft_protocol::{
    Chart, RunEnded, RunStarted, Series, SeriesStyle, StepRecord, ValidationRecord,
    chart::NonFinite,
};

use crate::number;

/// Builds the chart of a run: the loss of each step as a faint line, its running mean, validations
/// as dots, and the running mean of the reward margin in preference training.
///
/// `steps` and `validations` are those since the start in `started`, which contains the earlier
/// ones of a resumed run.
pub fn run_chart(
    started: &RunStarted,
    steps: &[StepRecord],
    validations: &[ValidationRecord],
    ended: Option<&RunEnded>,
) -> Chart {
    let raw: Vec<(f64, f64)> =
        started.earlier.iter().chain(steps).map(|step| (step.step as f64, step.loss)).collect();
    let checks: Vec<(f64, f64)> = started
        .earlier_validations
        .iter()
        .chain(validations)
        .map(|check| (check.step as f64, check.loss))
        .collect();
    let span = if started.steps < 20 {
        1.0
    } else {
        (started.steps / 20).clamp(4, 20).max(started.steps / 100) as f64
    };
    let mut series = Vec::new();
    if span > 1.0 {
        series.push(line("train, each step", SeriesStyle::Faint, &raw));
        series.push(line("train, running mean", SeriesStyle::Line, &smoothed(&raw, span)));
    } else {
        series.push(line("train", SeriesStyle::Line, &raw));
    }
    if !checks.is_empty() {
        let all = started.earlier_validations.iter().chain(validations);
        series.push(validation_series(started, &checks, all));
    }
    let margins = margins(started, steps);
    let has_rewards = !margins.is_empty();
    if has_rewards {
        let margins = smoothed(&margins, span);
        series.push(line("reward margin", SeriesStyle::Line, &margins));
    }
    let y_label = if has_rewards { "loss per pair, reward margin" } else { "loss, nats per token" };
    Chart {
        title: started.title.clone(),
        x_label: "step".to_owned(),
        y_label: y_label.to_owned(),
        x_max: Some(started.steps as f64),
        log_x: false,
        log_y: false,
        series,
        caption: ended.map(|ended| ended.summary.clone()).unwrap_or_default(),
    }
}

/// The reward margin of each step of preference training; empty for other losses.
fn margins(started: &RunStarted, steps: &[StepRecord]) -> Vec<(f64, f64)> {
    let all = started.earlier.iter().chain(steps);
    all.filter_map(|step| Some((step.step as f64, step.rewards?.margin()))).collect()
}

/// The validation losses. A metric, or the accuracy, is written next to the points.
fn validation_series<'a>(
    started: &RunStarted,
    losses: &[(f64, f64)],
    validations: impl Iterator<Item = &'a ValidationRecord>,
) -> Series {
    let label = |validation: &ValidationRecord| match (validation.metric, validation.accuracy) {
        (Some(metric), _) => number::significant(metric, 3),
        (None, Some(accuracy)) => number::percent(accuracy, 0),
        (None, None) => String::new(),
    };
    let validations: Vec<&ValidationRecord> = validations.collect();
    let name = if validations.iter().any(|validation| validation.metric.is_some()) {
        format!("validation, with {}", started.metric_name())
    } else if validations.iter().any(|validation| validation.accuracy.is_some()) {
        "validation, with accuracy".to_owned()
    } else {
        return line("validation", SeriesStyle::Dots, losses);
    };
    let labels = validations.into_iter().map(label).collect();
    Series { labels, ..line(&name, SeriesStyle::Dots, losses) }
}

fn line(name: &str, style: SeriesStyle, points: &[(f64, f64)]) -> Series {
    Series {
        name: name.to_owned(),
        style,
        points: points.iter().map(|(x, y)| (*x, NonFinite(*y))).collect(),
        labels: Vec::new(),
    }
}

/// Exponential running mean over about `span` points, unbiased at the start. Points that are not
/// finite are kept and do not affect later ones.
fn smoothed(points: &[(f64, f64)], span: f64) -> Vec<(f64, f64)> {
    let keep = 1.0 - 1.0 / span;
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut mean = |y: f64| {
        if !y.is_finite() {
            return y;
        }
        sum = keep * sum + (1.0 - keep) * y;
        weight = keep * weight + (1.0 - keep);
        sum / weight
    };
    points.iter().map(|(x, y)| (*x, mean(*y))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_protocol::Rewards;

    #[test]
    fn the_running_mean_starts_at_the_first_value_and_survives_a_nan() {
        let mean = smoothed(&[(1.0, 4.0), (2.0, 2.0), (3.0, f64::NAN), (4.0, 2.0)], 2.0);
        assert_eq!(mean[0].1, 4.0);
        assert!((mean[1].1 - 8.0 / 3.0).abs() < 1e-12);
        assert!(mean[2].1.is_nan() && mean[3].1 < mean[1].1);
    }

    #[test]
    fn the_accuracy_is_written_next_to_the_validation_losses() {
        let validation =
            |step, accuracy, metric| ValidationRecord { step, loss: 1.0, accuracy, metric };
        let started = RunStarted {
            run: "r".into(),
            title: "t".into(),
            first_step: 0,
            steps: 9,
            trainable: 0,
            total: 0,
            earlier: vec![],
            earlier_validations: vec![validation(0, Some(0.5), None)],
            best: "rougeL".into(),
        };
        let last = |validations: &[ValidationRecord]| {
            run_chart(&started, &[], validations, None).series.pop().expect("validations")
        };
        let series = last(&[validation(3, Some(0.75), None)]);
        assert_eq!(
            (series.name.as_str(), series.labels),
            ("validation, with accuracy", vec!["50 %".to_owned(), "75 %".to_owned()])
        );
        let series = last(&[validation(3, Some(0.75), Some(0.123_4))]);
        assert_eq!(
            (series.name.as_str(), series.labels[1].as_str()),
            ("validation, with rougeL", "0.123")
        );
    }

    #[test]
    fn a_resumed_run_begins_with_its_earlier_points() {
        let step = |step| StepRecord {
            step,
            loss: 1.0,
            lr: 0.0,
            grad_norm: 0.0,
            tokens_per_second: 0.0,
            elapsed_seconds: 0.0,
            rewards: None,
        };
        let started = RunStarted {
            run: "r".into(),
            title: "t".into(),
            first_step: 1,
            steps: 400,
            trainable: 0,
            total: 0,
            earlier: vec![step(1)],
            earlier_validations: vec![],
            best: String::new(),
        };
        let chart = run_chart(&started, &[step(2)], &[], None);
        assert_eq!(
            chart.series.iter().map(|series| series.points.len()).collect::<Vec<_>>(),
            [2, 2]
        );
        let rewards = Some(Rewards { chosen: 1.0, rejected: -0.5, accuracy: 1.0 });
        let chart = run_chart(&started, &[StepRecord { rewards, ..step(2) }], &[], None);
        let margins = chart.series.last().expect("a series");
        assert_eq!((margins.name.as_str(), margins.points.len()), ("reward margin", 1));
        assert_eq!(margins.points[0], (2.0, NonFinite(1.5)));
    }
}
