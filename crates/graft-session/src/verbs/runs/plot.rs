//! `%plot`: the curves of runs.

use graft_protocol::{Chart, Series, SeriesStyle, StepRecord, chart::NonFinite};
use graft_spec::{Failure, Settings, training::PLOT};
use graft_train::runs::{RunFolder, RunRecord};

use super::{base, read};
use crate::CommandContext;

/// Runs that are plotted when none is named.
const NEWEST: usize = 4;
/// Most runs in one plot: the number of distinguishable colors.
const MAX_RUNS: usize = 8;
/// Most points of one curve.
const MAX_POINTS: usize = 4_000;

/// The curves of runs in one plot; without names, of the newest runs.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names of the runs; `session::too_many_runs` for too
/// many runs; `session::no_curve` if none of them has such a curve.
pub fn plot(cx: &CommandContext, names: &[String], settings: &Settings) -> Result<Chart, Failure> {
    settings.check(PLOT)?;
    let folders = folders(names)?;
    let what = settings.text(PLOT, "y").unwrap_or_else(|| "loss".to_owned());
    let smooth = settings.float(PLOT, "smooth").unwrap_or(0.8);
    let mut chart = Chart {
        x_label: "step".to_owned(),
        y_label: axis(&what).to_owned(),
        log_y: settings.bool(PLOT, "log"),
        ..Chart::default()
    };
    let is_sparse = matches!(what.as_str(), "validation" | "accuracy");
    let style = if is_sparse { SeriesStyle::Dots } else { SeriesStyle::Line };
    for folder in &folders {
        let points = thinned(points(&read(cx, folder)?.0, &what, smooth));
        if !points.is_empty() {
            chart.series.push(Series { name: folder.name(), style, points, labels: Vec::new() });
        }
    }
    if chart.series.is_empty() {
        return Err(no_curve(&folders, &what));
    }
    chart.title = format!(
        "{what} of {}",
        if folders.len() == 1 { "one run".to_owned() } else { format!("{} runs", folders.len()) }
    );
    if !is_sparse && what != "lr" && smooth > 0.0 {
        chart.caption = format!("running means, smooth={smooth}");
    }
    Ok(chart)
}

fn folders(names: &[String]) -> Result<Vec<RunFolder>, Failure> {
    if names.len() > MAX_RUNS {
        return Err(Failure::new(
            "session::too_many_runs",
            format!("cannot plot {} runs at once", names.len()),
        )
        .hint(format!("name at most {MAX_RUNS}")));
    }
    if names.is_empty() {
        return Ok(RunFolder::list(&base()).into_iter().take(NEWEST).collect());
    }
    names.iter().map(|name| Ok(RunFolder::open(&base(), Some(name))?)).collect()
}

fn no_curve(folders: &[RunFolder], what: &str) -> Failure {
    let problem = if folders.is_empty() {
        "no runs here yet".to_owned()
    } else {
        format!("none of these runs has a curve of {what}")
    };
    Failure::new("session::no_curve", problem).hint("%train creates a run; %runs lists the runs")
}

/// Thins out a curve. The first and the last point are kept.
fn thinned(points: Vec<(f64, NonFinite)>) -> Vec<(f64, NonFinite)> {
    let every = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % every == 0 || *index == last)
        .map(|(_, point)| point)
        .collect()
}

/// The label of the y axis.
fn axis(what: &str) -> &'static str {
    match what {
        "lr" => "learning rate",
        "grad_norm" => "gradient norm",
        "tokens_per_second" => "tokens/s",
        "reward_margin" => "reward margin",
        "reward_accuracy" => "reward accuracy",
        "accuracy" => "accuracy",
        "validation" => "validation loss, nats",
        _ => "training loss, nats",
    }
}

fn points(record: &RunRecord, what: &str, smooth: f64) -> Vec<(f64, NonFinite)> {
    let some = |of: fn(&StepRecord) -> Option<f64>, smooth: f64| {
        let mut mean = f64::NAN;
        let mut next = |value: f64| {
            mean = if mean.is_finite() { smooth * mean + (1.0 - smooth) * value } else { value };
            NonFinite(mean)
        };
        let known = record.steps.iter().filter_map(|step| Some((step.step as f64, of(step)?)));
        known.map(|(step, value)| (step, next(value))).collect()
    };
    match what {
        "validation" => record
            .validations
            .iter()
            .map(|found| (found.step as f64, NonFinite(found.loss)))
            .collect(),
        "accuracy" => record
            .validations
            .iter()
            .filter_map(|found| Some((found.step as f64, NonFinite(found.accuracy?))))
            .collect(),
        "reward_margin" => some(|step| Some(step.rewards?.margin()), smooth),
        "reward_accuracy" => some(|step| Some(step.rewards?.accuracy), smooth),
        "lr" => some(|step| Some(step.lr), 0.0),
        "grad_norm" => some(|step| Some(step.grad_norm), smooth),
        "tokens_per_second" => some(|step| Some(step.tokens_per_second), smooth),
        _ => some(|step| Some(step.loss), smooth),
    }
}
