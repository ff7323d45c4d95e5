//! The two directions of the link.

use serde::{Deserialize, Serialize};

use graft_spec::Failure;

use crate::{Command, Event, Reply, Snapshot};

/// Raised when a message changes its meaning; host and child of different versions refuse each other in words.
pub const PROTOCOL_VERSION: u32 = 3;

/// Variable of the child's environment: the format of a cell's last value, such as `{:#?}` (evcxr's `:fmt`); unset is `{:?}`.
pub const CELL_FORMAT: &str = "GRAFT_CELL_FORMAT";

/// Variable of the child's environment: set when a cell's last value is shown with its type (evcxr's `:types`).
pub const CELL_TYPES: &str = "GRAFT_CELL_TYPES";

/// From the host to the child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToChild {
    /// Execute this; exactly one [`FromChild::Reply`] of the same number follows.
    Request {
        /// Number of the request.
        id: u64,
        /// What to do.
        command: Command,
    },
    /// Stop the running job at its next step. Acknowledged by [`FromChild::InterruptSeen`].
    Interrupt {
        /// Number of the interrupt.
        number: u64,
    },
    /// Like [`ToChild::Interrupt`], but also stops background runs: the child is about to be shut down.
    StopAll,
    /// Set (or with `None` remove) a variable of the child's environment.
    Environment {
        /// Name of the variable.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// Change the working directory, as `%cd` does.
    Directory {
        /// The folder.
        path: String,
    },
}

/// How a compiled cell ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellEnd {
    /// Whether it panicked.
    pub panicked: bool,
    /// The message of the error that a `?` at its top met; empty when the error was written to standard error instead.
    pub failed: Option<String>,
    /// Variables of earlier cells that are gone, because their type was defined again.
    pub lost_variables: Vec<String>,
}

/// From the child to the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromChild {
    /// First message after the start.
    Ready {
        /// [`PROTOCOL_VERSION`] of the child.
        protocol: u32,
        /// Process number.
        pid: u32,
        /// Build identity of the facade.
        identity: String,
    },
    /// Answer to a request.
    Reply {
        /// Number of the request.
        id: u64,
        /// What it gave.
        result: Result<Reply, Failure>,
    },
    /// The link has reached the position of the sentinel with this number in standard output; the host handles output only after both, so that
    /// neither stream overtakes the other.
    Barrier {
        /// From [`crate::mark::FIRST_OF_CHILD`] on, growing.
        number: u64,
    },
    /// The compiled cell that ran has returned. It comes over the link, so that nothing a cell prints can stand for it.
    CellEnded(CellEnd),
    /// News, under the request that caused it or, when a Rust cell did, under none.
    Event {
        /// Number of the request.
        request: Option<u64>,
        /// The news.
        event: Event,
    },
    /// The session's names changed.
    Snapshot(Snapshot),
    /// An interrupt arrived; `job` is the job that will stop, `None` if the session was idle.
    InterruptSeen {
        /// Number of the interrupt.
        number: u64,
        /// The job that stops.
        job: Option<String>,
    },
}
