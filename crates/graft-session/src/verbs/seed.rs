//! `%seed`.

use graft_protocol::Reply;
use graft_spec::Failure;

use crate::CommandContext;

/// Shows the session's seed, or sets it.
///
/// # Errors
/// None today.
pub fn seed(desk: &CommandContext, seed: Option<u64>) -> Result<u64, Failure> {
    if let Some(seed) = seed {
        desk.change(|state| state.seed = seed);
    }
    Ok(desk.state().seed)
}

/// The answer to `%seed`.
pub fn reply(seed: u64) -> Reply {
    Reply::text(format!(
        "seed {seed}: adapters, data order, dropout and sampling that have no seed of their own follow from it"
    ))
}
