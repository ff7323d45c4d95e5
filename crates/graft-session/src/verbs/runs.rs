//! `%runs` and `%plot`: what was trained here, from the ledgers on disk.

mod attach;
mod export;

use std::path::PathBuf;

use graft_protocol::{
    Cell, Chart, MemoryUse, RunOutcome, Series, SeriesStyle, Table, chart::NonFinite,
};
use graft_spec::{
    Failure, Settings,
    training::{PLOT, TRAIN},
};
use graft_train::{
    TrainError,
    runs::{RunFolder, RunHeader, RunRecord, SavedWeights, Start, is_temporary, runs_folder},
};

pub use attach::attach_run;
pub(crate) use attach::{attach_as_in, way_back};
pub use export::export;
pub(crate) use export::load_line;

use super::words::thousands;
use crate::{CommandContext, SessionError};

/// Runs that are drawn when none is named.
const NEWEST: usize = 4;
/// Most runs in one picture: as many as there are colours that can be told apart.
const MOST: usize = 8;

/// Most points of one curve: no picture shows more.
const MOST_POINTS: usize = 4_000;
/// What to know of runs that have no place on a disk.
pub(crate) const TEMPORARY: &str = "neither this folder nor the home folder can be written, so runs are kept in memory: ledgers, checkpoints and weights are \
    lost when this session ends (a restart, `%reset` or a crash). `%lora save DIR` keeps an adapter, `%runs export RUN FILE` a run; GRAFT_RUNS=DIR names \
    another place for runs";

/// The folder of the runs: beside the notebook, which is the working directory.
pub(crate) fn base() -> PathBuf {
    runs_folder(&std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")))
}

/// Names of the runs on disk, newest first.
pub(crate) fn names() -> Vec<String> {
    RunFolder::list(&base()).iter().map(RunFolder::name).collect()
}

/// A run as `%runs use` and the others find it: by its name or, from elsewhere, by its folder.
pub(crate) fn called(run: &RunFolder) -> String {
    let beside =
        |path: &std::path::Path| path.parent().and_then(|parent| parent.canonicalize().ok());
    if beside(run.path()) == base().canonicalize().ok() {
        run.name()
    } else {
        run.path().display().to_string()
    }
}

/// All that is known of a run: what happened, and its head with the keys that it was last resumed with.
fn read(desk: &CommandContext, folder: &RunFolder) -> Result<(RunRecord, RunHeader), Failure> {
    let record = folder.record_until(&|| desk.is_stopping()).map_err(|error| match error {
        TrainError::Stopped => SessionError::Interrupted {
            what: format!("stopped reading the ledger of `{}`", folder.name()),
            next: None,
        }
        .into(),
        error => Failure::from(error),
    })?;
    let header = record.current_header().or_else(|| folder.header()).unwrap_or_default();
    Ok((record, header))
}

/// A row for each run, the newest first.
///
/// # Errors
/// [`SessionError::Interrupted`] when the user stopped it.
pub fn table(desk: &CommandContext) -> Result<Table, Failure> {
    let mut table = Table::new(
        "runs",
        &[
            "run",
            "method",
            "data",
            "#trained",
            "#steps",
            "#loss",
            "#validation",
            "#accuracy",
            "outcome",
            "started from",
        ],
    );
    let base = base();
    for folder in RunFolder::list(&base) {
        let (record, header) = match read(desk, &folder) {
            Err(stopped) if desk.is_stopping() => return Err(stopped),
            Err(_) => continue,
            Ok(read) => read,
        };
        let start = started_from(&header);
        let (steps, last) =
            (record.steps.last().map_or(0, |step| step.step), record.validations.last());
        let float = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Float(value, 3));
        table.row(vec![
            Cell::Code(folder.name()),
            Cell::Text(header.method),
            Cell::Text(header.data),
            Cell::Integer(i64::try_from(header.trainable).unwrap_or(i64::MAX)),
            Cell::Integer(i64::try_from(steps).unwrap_or(i64::MAX)),
            float(final_loss(&record)),
            float(last.map(|last| last.loss)),
            last.and_then(|last| last.accuracy)
                .map_or(Cell::Empty, |share| Cell::Percent(share, 0)),
            Cell::Text(outcome(&record, &folder).to_owned()),
            Cell::Text(start),
        ]);
    }
    table.footer.push(if table.rows.is_empty() {
        "there are no runs here yet; %train makes one".to_owned()
    } else {
        "%runs show RUN has the settings, %runs use RUN attaches the weights, %plot RUN RUN draws the curves, %resume RUN continues".to_owned()
    });
    table.footer.extend(is_temporary(&base).then(|| TEMPORARY.to_owned()));
    Ok(table)
}

/// Where a run's weights came from, for a column.
fn started_from(header: &RunHeader) -> String {
    match &header.start {
        None => String::new(),
        Some(Start::Fresh { .. }) => "fresh weights".to_owned(),
        Some(start) => start.to_string(),
    }
}

/// One run: its settings, how it went, what is kept of it.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names there are.
pub fn facts(desk: &CommandContext, name: Option<&str>) -> Result<Table, Failure> {
    let folder = RunFolder::open(&base(), name)?;
    let (record, header) = read(desk, &folder)?;
    let mut table = Table::new(format!("run {}", folder.name()), &["fact", "value"]);
    for (fact, value) in settings_of(&header).into_iter().chain(course_of(&record, &folder)) {
        table.row(vec![Cell::Text(fact), Cell::Text(value)]);
    }
    let kept: Vec<_> = folder
        .checkpoints()
        .iter()
        .filter_map(|kept| kept.progress().ok())
        .map(|progress| progress.step.to_string())
        .collect();
    table.row(vec![
        Cell::Text("checkpoints after steps".to_owned()),
        Cell::Text(if kept.is_empty() { "none".to_owned() } else { kept.join(", ") }),
    ]);
    let best = folder
        .weights(SavedWeights::Best)
        .and_then(|best| best.progress())
        .map(|best| best.step.to_string());
    table.row(vec![
        Cell::Text("weights of the best step".to_owned()),
        Cell::Text(best.unwrap_or_else(|_| "none".to_owned())),
    ]);
    table.row(vec![
        Cell::Text("folder".to_owned()),
        Cell::Code(folder.path().display().to_string()),
    ]);
    table.footer.extend(record.warnings);
    Ok(table)
}

/// What differs between two runs; what is the same stands below.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names there are.
pub fn difference(desk: &CommandContext, one: &str, other: &str) -> Result<Table, Failure> {
    let facts_of = |name: &str| -> Result<Vec<(String, String)>, Failure> {
        let folder = RunFolder::open(&base(), Some(name))?;
        let (record, header) = read(desk, &folder)?;
        Ok(settings_of(&header).into_iter().chain(course_of(&record, &folder)).collect())
    };
    let (first, second) = (facts_of(one)?, facts_of(other)?);
    let value = |facts: &[(String, String)], fact: &str| {
        facts
            .iter()
            .find(|(known, _)| known == fact)
            .map_or("—".to_owned(), |(_, value)| value.clone())
    };
    let mut facts: Vec<&String> = first.iter().map(|(fact, _)| fact).collect();
    facts.extend(
        second
            .iter()
            .map(|(fact, _)| fact)
            .filter(|fact| !first.iter().any(|(known, _)| known == *fact)),
    );
    let mut table = Table::new(format!("{one} and {other}"), &["fact", one, other]);
    let (mut same, mut differs) = (Vec::new(), 0);
    for fact in facts {
        let (left, right) = (value(&first, fact), value(&second, fact));
        if left == right {
            same.push(format!("{fact} {left}"));
            continue;
        }
        differs += 1;
        table.row(vec![Cell::Text(fact.clone()), Cell::Text(left), Cell::Text(right)]);
    }
    if differs == 0 {
        table.footer.push("nothing differs".to_owned());
    }
    table.footer.push(format!("the same: {}", same.join("; ")));
    Ok(table)
}

/// The curves of runs in one picture; without names those of the newest.
///
/// # Errors
/// [`graft_train::TrainError::NoRun`] with the names there are; a [`Failure`] for more runs than can be told apart, and where none has such a curve.
pub fn plot(
    desk: &CommandContext,
    names: &[String],
    settings: &Settings,
) -> Result<Chart, Failure> {
    settings.check(PLOT)?;
    if names.len() > MOST {
        return Err(Failure::new(
            "session::too_many_runs",
            format!("{} runs cannot be told apart in one picture", names.len()),
        )
        .hint(format!("name at most {MOST}")));
    }
    let folders = if names.is_empty() {
        RunFolder::list(&base()).into_iter().take(NEWEST).collect()
    } else {
        names
            .iter()
            .map(|name| RunFolder::open(&base(), Some(name)))
            .collect::<Result<Vec<_>, _>>()?
    };
    let (what, smooth) = (
        settings.text(PLOT, "y").unwrap_or_else(|| "loss".to_owned()),
        settings.float(PLOT, "smooth").unwrap_or(0.8),
    );
    let mut chart = Chart {
        x_label: "step".to_owned(),
        y_label: unit(&what).to_owned(),
        log_y: settings.bool(PLOT, "log"),
        ..Chart::default()
    };
    for folder in &folders {
        let points = thinned(points(&read(desk, folder)?.0, &what, smooth));
        if !points.is_empty() {
            let style = if matches!(what.as_str(), "validation" | "accuracy") {
                SeriesStyle::Dots
            } else {
                SeriesStyle::Line
            };
            chart.series.push(Series { name: folder.name(), style, points });
        }
    }
    if chart.series.is_empty() {
        let problem = if folders.is_empty() {
            "there are no runs here yet".to_owned()
        } else {
            format!("none of these runs has a curve of {what}")
        };
        return Err(
            Failure::new("session::no_curve", problem).hint("%train makes a run; %runs lists them")
        );
    }
    chart.title = format!(
        "{what} of {}",
        if folders.len() == 1 { "one run".to_owned() } else { format!("{} runs", folders.len()) }
    );
    if matches!(what.as_str(), "loss" | "grad_norm" | "tokens_per_second") && smooth > 0.0 {
        chart.caption = format!("running means, smooth={smooth}");
    }
    Ok(chart)
}

/// As many points of a curve as a picture shows, the first and the last among them.
fn thinned(points: Vec<(f64, NonFinite)>) -> Vec<(f64, NonFinite)> {
    let (every, last) = (points.len().div_ceil(MOST_POINTS).max(1), points.len().saturating_sub(1));
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % every == 0 || *index == last)
        .map(|(_, point)| point)
        .collect()
}

fn unit(what: &str) -> &'static str {
    match what {
        "lr" => "learning rate",
        "grad_norm" => "gradient norm",
        "tokens_per_second" => "tokens/s",
        "accuracy" => "accuracy, share",
        "validation" => "validation loss, nats",
        _ => "training loss, nats",
    }
}

fn points(record: &RunRecord, what: &str, smooth: f64) -> Vec<(f64, NonFinite)> {
    let steps = |of: fn(&graft_protocol::StepRecord) -> f64, smooth: f64| {
        let mut mean = f64::NAN;
        let mut next = |value: f64| {
            mean = if mean.is_finite() { smooth * mean + (1.0 - smooth) * value } else { value };
            NonFinite(mean)
        };
        record.steps.iter().map(|step| (step.step as f64, next(of(step)))).collect()
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
        "lr" => steps(|step| step.lr, 0.0),
        "grad_norm" => steps(|step| step.grad_norm, smooth),
        "tokens_per_second" => steps(|step| step.tokens_per_second, smooth),
        _ => steps(|step| step.loss, smooth),
    }
}

/// Mean loss of the last tenth of the steps, which is steadier than that of the last.
fn final_loss(record: &RunRecord) -> Option<f64> {
    let last = record.steps.len().div_ceil(10);
    let steps = &record.steps[record.steps.len() - last..];
    (last > 0).then(|| steps.iter().map(|step| step.loss).sum::<f64>() / last as f64)
}

fn outcome(record: &RunRecord, folder: &RunFolder) -> &'static str {
    match record.ended.as_ref().map(|ended| &ended.outcome) {
        Some(RunOutcome::Finished) => "finished",
        Some(RunOutcome::Interrupted) => "interrupted",
        Some(RunOutcome::Failed) => "failed",
        None if folder.is_in_use() => "running",
        None => "not ended",
    }
}

/// What decided the run, key by key.
fn settings_of(header: &RunHeader) -> Vec<(String, String)> {
    let mut facts = vec![
        ("model".to_owned(), header.model.clone()),
        ("data".to_owned(), header.data.clone()),
        ("method".to_owned(), header.method.clone()),
    ];
    let keys = |settings: &Settings| {
        settings
            .values
            .iter()
            .map(|(key, value)| (key.clone(), value.to_string()))
            .collect::<Vec<_>>()
    };
    facts.extend(keys(&header.model_settings));
    facts.extend(keys(&header.adapter_settings));
    let train = ["steps", "batch", "schedule"].map(|key| {
        (
            key.to_owned(),
            header.train.get(TRAIN, key).map_or_else(String::new, |value| value.to_string()),
        )
    });
    facts.extend(train);
    facts.extend(
        keys(&header.train).into_iter().filter(|(key, _)| {
            !["steps", "batch", "schedule", "lr", "seed"].contains(&key.as_str())
        }),
    );
    facts.push((
        "lr".to_owned(),
        header.train.float(TRAIN, "lr").unwrap_or(header.default_lr).to_string(),
    ));
    facts.push(("seed".to_owned(), header.seed.to_string()));
    facts.push((
        "started from".to_owned(),
        header
            .start
            .as_ref()
            .map_or_else(|| "not recorded, by an older version".to_owned(), ToString::to_string),
    ));
    facts.extend(header.adapter_scale.map(|scale| ("scale".to_owned(), scale.to_string())));
    if !header.data_fingerprint.is_empty() {
        facts.push(("data fingerprint".to_owned(), header.data_fingerprint.clone()));
    }
    facts.push(("trained parameters".to_owned(), header.trainable.to_string()));
    facts.push(("device".to_owned(), header.device.clone()));
    facts
}

/// How it went.
fn course_of(record: &RunRecord, folder: &RunFolder) -> Vec<(String, String)> {
    let mut facts = vec![("outcome".to_owned(), outcome(record, folder).to_owned())];
    if let (Some(first), Some(last)) = (record.steps.first(), record.steps.last()) {
        facts.push(("steps done".to_owned(), last.step.to_string()));
        facts.push(("first loss".to_owned(), graft_spec::number::decimals(first.loss, 4)));
        facts.push((
            "loss over the last tenth".to_owned(),
            graft_spec::number::decimals(final_loss(record).unwrap_or(last.loss), 4),
        ));
        facts.push(("time, s".to_owned(), format!("{:.1}", last.elapsed_seconds)));
    }
    if let Some(memory) = record.ended.as_ref().and_then(|ended| ended.memory).and_then(in_words) {
        facts.push(("memory beside the model".to_owned(), memory));
    }
    if let Some(best) =
        record.validations.iter().min_by(|one, other| one.loss.total_cmp(&other.loss))
    {
        facts.push((
            "best validation".to_owned(),
            format!("{} at step {}", graft_spec::number::decimals(best.loss, 4), best.step),
        ));
    }
    if let Some(accuracy) = record.validations.last().and_then(|last| last.accuracy) {
        facts.push(("last accuracy".to_owned(), format!("{:.0} %", 100.0 * accuracy)));
    }
    facts
}

/// `92 MB taken, 95 MB predicted`; none where nothing was measured.
fn in_words(memory: MemoryUse) -> Option<String> {
    let megabytes = |bytes: u64| format!("{} MB", thousands(bytes.div_ceil(1_000_000)));
    let predicted = memory
        .predicted
        .map(|bytes| format!(", {} predicted", megabytes(bytes)))
        .unwrap_or_default();
    memory.taken.map(|taken| format!("{} taken{predicted}", megabytes(taken)))
}

/// What the newest run of a model took of the memory: its name, and in words.
pub(crate) fn newest_memory(model_hash: &str) -> Option<(String, String)> {
    let folder = RunFolder::list(&base())
        .into_iter()
        .find(|folder| folder.header().is_some_and(|header| header.model_hash == model_hash))?;
    let memory = folder.record().ok()?.ended?.memory?;
    Some((folder.name(), in_words(memory)?))
}
