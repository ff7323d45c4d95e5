//! Where a session's news goes.

use graft_protocol::{Event, Snapshot};

/// Takes the news of a session. Called from the job thread in the middle of training: an implementation must not block and must
/// not call back into the session.
pub trait Sink: Send + Sync {
    /// Something happened under this request; none when a Rust cell caused it.
    fn event(&self, request: Option<u64>, event: Event);
    /// The session's names changed.
    fn snapshot(&self, snapshot: Snapshot);
}
