//! How long a large grid would take, before anybody waits for it.

use std::time::Instant;

use graft_spec::{Failure, Value, ablation::Ablation, training::TRAIN};

use super::{score, trial::Bench};
use crate::{CommandContext, SessionError, verbs::bare::Bare};

/// Steps that are trained to learn how long one takes.
const STEPS: i64 = 5;

/// Lets a grid pass that is small or confirmed.
///
/// # Errors
/// [`SessionError::LargeGrid`] with the time that it would take: a few steps of the first configuration and one scoring are timed, and every other is
/// taken to be like them. Those of the training.
pub(super) fn confirmed(desk: &CommandContext, grid: &Ablation) -> Result<(), Failure> {
    if !grid.wants_confirmation() {
        return Ok(());
    }
    let seconds = seconds(desk, grid)?;
    Err(SessionError::LargeGrid {
        trainings: grid.trainings(),
        configurations: grid.trials.len(),
        seeds: grid.seeds(),
        seconds,
    }
    .into())
}

fn seconds(desk: &CommandContext, grid: &Ablation) -> Result<f64, Failure> {
    let state = desk.state();
    state.model()?;
    let data = state.data(None)?;
    let _bare = Bare::new(&state)?;
    let bench =
        Bench { desk, state: state.clone(), data, domain: None, grid, leaves_given_up: false };
    let began = Instant::now();
    score(desk, &bench, "the base")?;
    let scoring = began.elapsed().as_secs_f64();
    let Some(first) = grid.trials.first() else { return Ok(0.0) };
    let keys = first.train.clone().with("steps", Value::Integer(STEPS));
    let entrant = bench.enter((0, first), state.seed, (String::new(), None), &keys, None)?;
    let heard = bench.alone(&entrant, "timing a few steps");
    // It is no run that anybody would want to see again.
    let _ = std::fs::remove_dir_all(entrant.plan.folder.path());
    let step = heard?.seconds / STEPS as f64;
    let steps: i64 =
        grid.trials.iter().filter_map(|trial| trial.train.integer(TRAIN, "steps")).sum();
    // A search for the learning rate takes as long as one more training.
    let trained = (grid.seeds() + u64::from(grid.search_lr)) as f64;
    Ok(trained * step * steps as f64 + scoring * grid.trainings() as f64)
}
