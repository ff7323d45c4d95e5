//! The receiver of a session's events.

use graft_protocol::{Event, Snapshot};

/// Receives the events of a session. The job thread calls it during training: an implementation
/// must not block and must not call back into the session.
pub trait Sink: Send + Sync {
    /// An event of this request; `None` for an event of a Rust cell.
    fn event(&self, request: Option<u64>, event: Event);
    /// The named objects of the session have changed.
    fn snapshot(&self, snapshot: Snapshot);
}
