//! `%ablate`: every combination of a grid is trained on the same data and compared, honestly.
//!
//! The base is shared: each trial attaches an adapter under a name of its own, the trials are trained in turn, scored, and taken away again, so that
//! the user's adapters are what they were. Every seed means the same order of the data for every configuration, and a LoRA of rank 4 starts as the first rows
//! of one of rank 16, so that differences are paired by seed.

mod estimate;
mod forgotten;
mod report;
mod search;
mod standing;
mod statistics;
mod together;
mod trial;

use std::sync::Arc;

use graft_protocol::{Block, Event, Level, Reply, Table};
use graft_spec::{
    Failure,
    ablation::{Ablation, Trial},
    training::{ABLATE, TRAIN},
};
use graft_train::{Evaluation, evaluate, runs::Trials};

use super::{bare::Bare, domain::Domain, labels, runs};
use crate::{CommandContext, SessionError, state::Comparison};
use trial::Bench;

/// What a comparison found.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The configurations with their results, the base and the majority class.
    pub table: Table,
    /// What is drawn below the table.
    charts: Vec<graft_protocol::Chart>,
    /// What to know beside it.
    notes: Vec<(Level, String)>,
}

/// One configuration and how its trainings went, by seed.
struct Row {
    label: String,
    /// `lora_alpha / r`, where the method has both.
    scale: Option<f64>,
    /// The learning rate, where it is given.
    rate: Option<f64>,
    results: Vec<Result<graft_train::runs::TrialRecord, Failure>>,
}

/// A comparison, finished or stopped, for whoever tells of it.
struct Found<'a> {
    rows: Vec<Row>,
    /// The untuned base on the data.
    base: Evaluation,
    grid: &'a Ablation,
    /// Name of the data.
    data: String,
    /// Name of the base's own domain and the loss of the untuned base there.
    domain: Option<(String, f64)>,
}

/// The table and the charts of a comparison.
type Tell = fn(&Found<'_>) -> (Table, Vec<graft_protocol::Chart>);

/// Trains every configuration of the grid with every seed.
///
/// A trial that fails is marked and the rest goes on; when the user stops it, what is finished is shown and kept, and not trained again by the same line.
///
/// # Errors
/// Those of [`Ablation::parse`]; [`SessionError::LargeGrid`] for a large grid that nobody has confirmed; [`SessionError::NoModel`], [`SessionError::NoData`], those of [`graft_train::evaluate`], the failure of the first trial when
/// no trial succeeds, and [`SessionError::Interrupted`] when the user stopped it.
pub fn ablate(
    desk: &CommandContext,
    methods: &[String],
    keys: &[(String, String)],
) -> Result<Compared, Failure> {
    let grid = Ablation::parse(methods, keys)?;
    estimate::confirmed(desk, &grid)?;
    all(desk, grid, (false, false))
}

/// A grid that has grown: what is finished, and what was given up, stays as it is.
///
/// # Errors
/// Those of [`ablate`].
pub(super) fn again(
    desk: &CommandContext,
    grid: Ablation,
    forgetting: bool,
) -> Result<Compared, Failure> {
    all(desk, grid, (forgetting, true))
}

/// Trains the configurations of a grid, and those that `%trial clone` adds meanwhile.
fn all(
    desk: &CommandContext,
    mut grid: Ablation,
    (forgetting, mut leaves_given_up): (bool, bool),
) -> Result<Compared, Failure> {
    loop {
        let remembered = Arc::new(Comparison { grid: grid.clone(), forgetting });
        desk.change(|state| state.compared = Some(remembered.clone()));
        let compared = compare(
            desk,
            &grid,
            (if forgetting { forgotten::tell } else { report::tell }, leaves_given_up),
        )?;
        let clones = if desk.is_background() {
            desk.change_background(|report| std::mem::take(&mut report.clones)).unwrap_or_default()
        } else {
            Vec::new()
        };
        if clones.is_empty() {
            return Ok(compared);
        }
        leaves_given_up = true;
        for (number, keys) in clones {
            match grid.with_clone(number, &keys) {
                Ok(wider) => grid = wider,
                // Asked for twice.
                Err(failure) => desk.warn(failure.to_string()),
            }
        }
    }
}

/// Trains the configurations as [`ablate`] does, and tells what each has forgotten of the base's own domain.
///
/// # Errors
/// Those of [`ablate`], and [`SessionError::NoDomain`] where nobody says what the model knew before.
pub(super) fn forgetting(
    desk: &CommandContext,
    methods: &[String],
    keys: &[(String, String)],
) -> Result<Compared, Failure> {
    let mut grid = Ablation::parse(methods, keys)?;
    grid.settings = Domain::wanted(&desk.state(), grid.settings)?;
    estimate::confirmed(desk, &grid)?;
    all(desk, grid, (true, false))
}

fn compare(
    desk: &CommandContext,
    grid: &Ablation,
    (tell, leaves_given_up): (Tell, bool),
) -> Result<Compared, Failure> {
    let state = desk.state();
    state.model()?;
    let data = state.data(None)?;
    let _bare = Bare::new(&state)?;
    labels::warning(&state, &data)?.into_iter().for_each(|warning| desk.warn(warning));
    if graft_train::runs::is_temporary(&runs::base()) {
        desk.warn(runs::TEMPORARY);
    }
    let mut kept = Trials::read(&runs::base());
    let domain = Domain::named(desk, &state, &grid.settings)?;
    let bench =
        Bench { desk, state: state.clone(), data: data.clone(), domain, grid, leaves_given_up };
    let base = score(desk, &bench, "the base")?;
    let domain = bench
        .domain
        .as_ref()
        .map(|domain| {
            Ok::<_, Failure>((domain.data.dataset.name.clone(), domain.loss(desk, "the base")?))
        })
        .transpose()?;
    let (rows, reused) = bench.train_all(&mut kept, &report::Metric::of(&base))?;
    desk.change(|state| state.runs = runs::names());
    if let Some(failure) = first_failure(&rows) {
        return Err(failure);
    }
    let found = Found { rows, base, grid, data: data.dataset.name.clone(), domain };
    let (table, charts) = tell(&found);
    let rows = &found.rows;
    let (total, done) =
        (bench.trainings(), rows.iter().map(|row| row.results.len() as u64).sum::<u64>());
    let compared = Compared { table, charts, notes: notes(rows, reused, total, kept.damaged) };
    if !desk.is_stopping() {
        return Ok(compared);
    }
    if done > 0 {
        compared.reply().blocks.into_iter().for_each(|block| desk.emit(Event::Block(block)));
    }
    let what = format!(
        "stopped after {done} of {total} trainings; what is finished is kept, and so is what is half-way"
    );
    Err(SessionError::Interrupted {
        what,
        next: Some("run the same line again to resume it".to_owned()),
    }
    .into())
}

impl Row {
    fn new(trial: &Trial) -> Self {
        Self {
            label: trial.label.clone(),
            scale: trial::scale(trial),
            rate: trial.train.float(TRAIN, "lr"),
            results: Vec::new(),
        }
    }

    /// Whether it failed or was given up, so that no other seed is tried.
    fn is_over(&self) -> bool {
        self.results
            .iter()
            .any(|result| result.as_ref().map_or(true, |record| record.stopped.is_some()))
    }

    /// The learning rate that a search has found for it.
    fn lr(&self) -> Option<f64> {
        self.results.iter().find_map(|result| result.as_ref().ok()?.lr)
    }
}

impl Bench<'_> {
    /// What `lr=auto` finds with the first seed, for every seed of a configuration; none where the rate is given.
    fn rate(
        &self,
        row: &Row,
        trial: &Trial,
        seed: u64,
        label: &str,
    ) -> Result<Option<f64>, Failure> {
        match row.lr() {
            None if self.grid.search_lr => self.search(trial, seed, label).map(Some),
            found => Ok(found),
        }
    }
}

/// What to know beside the table.
fn notes(rows: &[Row], reused: usize, total: u64, damaged: usize) -> Vec<(Level, String)> {
    let mut notes: Vec<_> =
        report::weights(rows).map(|text| (Level::Info, text)).into_iter().collect();
    if reused > 0 {
        let text = format!(
            "{reused} of {total} trainings were finished by an earlier run of this line and not repeated (fresh=true trains them again)"
        );
        notes.push((Level::Info, text));
    }
    if damaged > 0 {
        notes.push((
            Level::Warning,
            format!("{damaged} damaged lines of .graft/ablations.jsonl were skipped"),
        ));
    }
    notes
}

/// The failure to report when not one training succeeded.
fn first_failure(rows: &[Row]) -> Option<Failure> {
    let results = || rows.iter().flat_map(|row| &row.results);
    if results().any(Result::is_ok) {
        return None;
    }
    results().find_map(|result| result.clone().err())
}

/// Scores the model as it is now.
fn score(desk: &CommandContext, bench: &Bench<'_>, who: &str) -> Result<Evaluation, Failure> {
    let examples = bench
        .grid
        .settings
        .integer(ABLATE, "examples")
        .map_or(200, |count| count.unsigned_abs() as usize);
    let label = format!("scoring {who} on {}", bench.data.dataset.name);
    let found = score_on(desk, bench, examples, &mut |done, total| {
        desk.emit(Event::Progress { label: label.clone(), done, total })
    });
    if desk.is_stopping() {
        return Err(SessionError::Interrupted {
            what: format!("stopped while {label}"),
            next: None,
        }
        .into());
    }
    found
}

/// Scores it on the first so many examples of the split.
fn score_on(
    desk: &CommandContext,
    bench: &Bench<'_>,
    examples: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Evaluation, Failure> {
    let model = bench.state.model()?;
    let split = bench.grid.settings.text(ABLATE, "split").unwrap_or_default();
    let (model, tokenizer) = (model.loaded.model.as_ref(), model.loaded.tokenizer.as_ref());
    Ok(evaluate(
        model,
        tokenizer,
        &bench.data.dataset,
        &split,
        examples,
        16,
        &desk.control(),
        progress,
    )?)
}

impl Compared {
    /// A table alone.
    pub(super) fn of(table: Table) -> Self {
        Self { table, charts: Vec::new(), notes: Vec::new() }
    }

    /// The answer to `%ablate`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Table(self.table)];
        blocks.extend(self.charts.into_iter().map(Block::Chart));
        blocks.extend(self.notes.into_iter().map(|(level, text)| Block::Note(level, text)));
        Reply { blocks }
    }
}
