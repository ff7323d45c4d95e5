//! Estimates the time that a large grid would take, before it is trained.

use std::time::Instant;

use graft_spec::{Failure, Value, ablation::Ablation, training::TRAIN};

use super::{
    prepared_trial::TrialRun,
    runner::{GridRunner, PrunedTrials},
    scoring::ComparedMetrics,
};
use crate::{CommandContext, SessionError, verbs::adapters_disabled::AdaptersDisabled};

/// Steps that are trained to time one.
const STEPS: i64 = 5;

/// Returns an error for a large grid without `confirm=true`.
///
/// # Errors
/// [`SessionError::LargeGrid`] with an estimate of the time, from a few steps of the first
/// configuration and one scoring pass; those of the training run.
pub(super) fn check_size(cx: &CommandContext, grid: &Ablation) -> Result<(), Failure> {
    if !grid.wants_confirmation() {
        return Ok(());
    }
    let seconds = seconds(cx, grid)?;
    Err(SessionError::LargeGrid {
        training_runs: grid.training_runs(),
        configurations: grid.trials.len(),
        seeds: grid.seeds(),
        seconds,
    }
    .into())
}

fn seconds(cx: &CommandContext, grid: &Ablation) -> Result<f64, Failure> {
    let state = cx.state();
    state.model()?;
    let data = state.data(None)?;
    let grid = &super::with_steps(cx, grid, &data)?;
    let _disabled = AdaptersDisabled::new(&state)?;
    let pruned = PrunedTrials::Retrain;
    let metrics = ComparedMetrics::of(&state, &grid.settings)?;
    let runner = GridRunner { cx, state: state.clone(), data, domain: None, grid, metrics, pruned };
    runner.check_metrics()?;
    let started = Instant::now();
    runner.score("the base")?;
    let scoring = started.elapsed().as_secs_f64();
    let Some(trial) = grid.trials.first() else { return Ok(0.0) };
    let train = trial.train.clone().with("steps", Value::Integer(STEPS));
    let ([key, run_key], seed) = ([String::new(), String::new()], state.seed);
    let run = TrialRun { place: 0, trial, seed, key, run_key, lr: None, train };
    let prepared = runner.prepare(run, None)?;
    let log = runner.run_single(&prepared, "timing a few steps");
    let _ = std::fs::remove_dir_all(prepared.setup.folder.path());
    let step = log?.seconds / STEPS as f64;
    let steps: i64 =
        grid.trials.iter().filter_map(|trial| trial.train.integer(TRAIN, "steps")).sum();
    // A search for the learning rate takes as long as one more training run.
    let runs = (grid.seeds() + u64::from(grid.search_lr)) as f64;
    Ok(runs * step * steps as f64 + scoring * grid.training_runs() as f64)
}
