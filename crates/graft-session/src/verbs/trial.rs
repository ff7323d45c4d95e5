//! `%trial`: stops a trial of the running comparison early, or adds one.

use graft_protocol::Reply;
use graft_spec::Failure;

use super::ablate;
use crate::{
    CommandContext, SessionError,
    background::{COMPARISON, TrialClone},
};

/// Stops a trial of the background comparison early, at its next turn.
///
/// # Errors
/// [`SessionError::NoComparison`] when no comparison runs in the background; `ablate::no_trial` for
/// an unknown number.
pub fn stop(cx: &CommandContext, number: usize) -> Result<String, Failure> {
    if !is_comparing(cx) {
        return Err(SessionError::NoComparison.into());
    }
    let comparison = cx.state().compared.clone().ok_or(SessionError::NoComparison)?;
    let trial = number.checked_sub(1).and_then(|index| comparison.grid.trials.get(index));
    let Some(trial) = trial else {
        // The failure lists the trials.
        return Err(comparison
            .grid
            .with_clone(number, &[])
            .map_or_else(Failure::from, |_| SessionError::NoComparison.into()));
    };
    cx.edit_background_job(|report| report.stops.push(number));
    Ok(format!("stopping trial {number} ({}) at its next turn", trial.label))
}

/// Adds a configuration to the last comparison: a copy of trial `number` with `keys` changed. It is
/// trained now and reported with the others.
///
/// # Errors
/// [`SessionError::NoComparison`] when nothing was compared yet; those of
/// [`graft_spec::ablation::Ablation::with_clone`] and of [`ablate::ablate`].
pub fn clone(
    cx: &CommandContext,
    number: usize,
    keys: &[(String, String)],
) -> Result<Reply, Failure> {
    let comparison = cx.state().compared.clone().ok_or(SessionError::NoComparison)?;
    let extended = comparison.grid.with_clone(number, keys)?;
    Ok(ablate::extend_grid(cx, extended, comparison.measure)?.reply())
}

/// Adds a configuration to the background comparison, which trains it after the others; `None` when
/// no comparison runs in the background.
///
/// # Errors
/// As [`clone`].
pub(crate) fn add(
    cx: &CommandContext,
    number: usize,
    keys: &[(String, String)],
) -> Result<Option<String>, Failure> {
    if !is_comparing(cx) {
        return Ok(None);
    }
    let comparison = cx.state().compared.clone().ok_or(SessionError::NoComparison)?;
    let extended = comparison.grid.with_clone(number, keys)?;
    let label = extended.trials.last().map(|trial| trial.label.clone()).unwrap_or_default();
    let clone = TrialClone { number, keys: keys.to_vec() };
    cx.edit_background_job(|report| report.clones.push(clone));
    Ok(Some(format!("added trial {label}; it is trained after the others")))
}

/// Whether a comparison runs in the background.
fn is_comparing(cx: &CommandContext) -> bool {
    cx.background_jobs().last().is_some_and(|report| report.is_running && report.run == COMPARISON)
}
