//! The messages between host and child, in both directions.

use serde::{Deserialize, Serialize};

use graft_spec::Failure;

use crate::{Command, Event, Reply, Snapshot};

/// Version of the protocol, increased when the meaning of a message changes. Host and child with
/// different versions refuse to work together and report it.
pub const PROTOCOL_VERSION: u32 = 4;

/// Environment variable of the child: the format of a cell's last value, such as `{:#?}` (evcxr's
/// `:fmt`). The default is `{:?}`.
pub const CELL_FORMAT: &str = "GRAFT_CELL_FORMAT";

/// Environment variable of the child: set if a cell's last value is shown with its type (evcxr's
/// `:types`).
pub const CELL_TYPES: &str = "GRAFT_CELL_TYPES";

/// MIME type of the values of the Rust expressions in a magic: a JSON list of texts.
pub const MAGIC_VALUES: &str = "application/vnd.graft.values+json";

/// Messages from the host to the child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToChild {
    /// Execute a command; exactly one [`FromChild::Reply`] with the same number follows.
    Request {
        /// Number of the request.
        id: u64,
        /// The command.
        command: Command,
    },
    /// Stop the running job at its next step. Acknowledged by [`FromChild::InterruptSeen`].
    Interrupt {
        /// Number of the interrupt.
        number: u64,
    },
    /// Like [`ToChild::Interrupt`], but also stops background runs: the child is about to be shut
    /// down.
    StopAll,
    /// Set a variable of the child's environment, or remove it if the value is `None`.
    Environment {
        /// Name of the variable.
        name: String,
        /// The value.
        value: Option<String>,
    },
    /// Change the working directory, as `%cd` does.
    Directory {
        /// The folder.
        path: String,
    },
}

/// The outcome of a compiled cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellEnd {
    /// Whether it panicked.
    pub panicked: bool,
    /// Message of the error returned by a `?` at the top level; empty if the error was written to
    /// standard error instead.
    pub failed: Option<String>,
    /// Variables of earlier cells that were dropped because their type was redefined.
    pub lost_variables: Vec<String>,
}

/// Messages from the child to the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromChild {
    /// The first message after the start.
    Ready {
        /// [`PROTOCOL_VERSION`] of the child.
        protocol: u32,
        /// Process ID.
        pid: u32,
        /// Build identity of the facade.
        identity: String,
    },
    /// The answer to a request.
    Reply {
        /// Number of the request.
        id: u64,
        /// The result.
        result: Result<Reply, Failure>,
    },
    /// The link has reached the position of the sentinel with this number in standard output. The
    /// host continues only once it has both, so that neither stream overtakes the other.
    Barrier {
        /// Number of the sentinel: [`crate::sentinel::FIRST_OF_CHILD`] or greater, increasing.
        number: u64,
    },
    /// The running cell has returned. The message uses the link, so that nothing a cell prints can
    /// imitate it.
    CellEnded(CellEnd),
    /// An event, with the number of the request that caused it, or without a number if a Rust cell
    /// caused it.
    Event {
        /// Number of the request.
        request: Option<u64>,
        /// The event.
        event: Event,
    },
    /// The names in the session have changed.
    Snapshot(Snapshot),
    /// An interrupt has arrived.
    InterruptSeen {
        /// Number of the interrupt.
        number: u64,
        /// The job that will stop; `None` if the session is idle.
        job: Option<String>,
    },
}
