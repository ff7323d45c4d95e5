//! `%trial`: one configuration of a comparison, given up or added.

use graft_protocol::Reply;
use graft_spec::Failure;

use super::ablate;
use crate::{CommandContext, SessionError, background::COMPARISON};

/// Gives up a configuration of the comparison in the background at its next turn.
///
/// # Errors
/// [`SessionError::NoComparison`] when none runs there, and `ablate::no_trial` for a number that there is not.
pub fn stop(desk: &CommandContext, number: usize) -> Result<String, Failure> {
    if !runs(desk) {
        return Err(SessionError::NoComparison.into());
    }
    let comparison = desk.state().compared.clone().ok_or(SessionError::NoComparison)?;
    let Some(trial) = number.checked_sub(1).and_then(|index| comparison.grid.trials.get(index))
    else {
        // Says which there are.
        return Err(comparison
            .grid
            .with_clone(number, &[])
            .err()
            .unwrap_or_else(|| SessionError::NoComparison.into()));
    };
    desk.change_background(|report| report.stops.push(number));
    Ok(format!("trial {number}, {}, is given up at its next turn", trial.label))
}

/// Adds a configuration like number `number` but for `keys` to the last comparison; it is trained now and shown with the others.
///
/// # Errors
/// [`SessionError::NoComparison`] when nothing was compared yet; those of [`graft_spec::ablation::Ablation::with_clone`] and of [`ablate::ablate`].
pub fn clone(
    desk: &CommandContext,
    number: usize,
    keys: &[(String, String)],
) -> Result<Reply, Failure> {
    let comparison = desk.state().compared.clone().ok_or(SessionError::NoComparison)?;
    let wider = comparison.grid.with_clone(number, keys)?;
    Ok(ablate::again(desk, wider, comparison.forgetting)?.reply())
}

/// Adds one to the comparison in the background, which trains it when the others are done; none when no comparison runs there.
///
/// # Errors
/// As [`clone`].
pub(crate) fn add(
    desk: &CommandContext,
    number: usize,
    keys: &[(String, String)],
) -> Result<Option<String>, Failure> {
    if !runs(desk) {
        return Ok(None);
    }
    let comparison = desk.state().compared.clone().ok_or(SessionError::NoComparison)?;
    let wider = comparison.grid.with_clone(number, keys)?;
    let label = wider.trials.last().map(|trial| trial.label.clone()).unwrap_or_default();
    desk.change_background(|report| report.clones.push((number, keys.to_vec())));
    Ok(Some(format!("{label} is trained when the others are done")))
}

/// Whether a comparison runs in the background.
fn runs(desk: &CommandContext) -> bool {
    desk.background().last().is_some_and(|report| report.is_running && report.run == COMPARISON)
}
