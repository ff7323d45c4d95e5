//! The facade over a socket pair: as the host uses it, and as a cell uses it.

#[path = "../../graft-session/tests/it/tiny.rs"]
mod tiny;

mod cells;
mod host;
mod serving;
