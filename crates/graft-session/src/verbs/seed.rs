//! `%seed`.

use graft_protocol::Reply;
use graft_spec::Failure;

use crate::CommandContext;

/// Shows the session's seed, or sets it.
///
/// # Errors
/// Currently none.
pub fn seed(cx: &CommandContext, seed: Option<u64>) -> Result<u64, Failure> {
    if let Some(seed) = seed {
        cx.change(|state| state.seed = seed);
    }
    Ok(cx.state().seed)
}

/// The reply to `%seed`.
pub fn reply(seed: u64) -> Reply {
    Reply::text(format!(
        "seed {seed}: used for adapters, data order, dropout and sampling without their own seed"
    ))
}
