//! Events that the engine sends while it works.

use bytes::Bytes;
use graft_protocol::Event;
use graft_spec::Failure;
use tokio::sync::oneshot;

/// An event from the engine: output of the child, progress, or a question to the user.
#[derive(Debug)]
pub enum EngineEvent {
    /// Bytes of the child's standard output, without evcxr's control lines. A chunk may end within
    /// a UTF-8 character.
    Stdout(Bytes),
    /// Bytes of the child's standard error.
    Stderr(Bytes),
    /// An event of the session, such as a step of training or a display.
    Session(Event),
    /// The current activity of the engine, such as `starting Rust…`. Each status replaces the one
    /// before; an empty one clears it.
    Status(String),
    /// A failure outside any cell: the session died while idle.
    Notice(Failure),
    /// A cell asks the user for a line.
    Input {
        /// The prompt to show.
        prompt: String,
        /// Whether the answer must not be echoed.
        password: bool,
        /// Receives the answer; `None` when no user can answer. It is dropped when the user
        /// interrupts the cell instead.
        answer: oneshot::Sender<Option<String>>,
    },
}
