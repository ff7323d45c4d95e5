//! The engine of every frontend: the child process with the session, the link to it, and evcxr for
//! Rust cells.
//!
//! The host owns the child. The child's standard streams are pipes of the host, so evcxr can attach
//! to the child late, detach with `:clear` and attach again while the child and its model stay
//! alive. The engine is independent of Jupyter and of the terminal: it executes commands and Rust
//! cells ([`Executor`]) and sends [`EngineEvent`]s.

mod analyzer;
mod attachment;
mod cell_status;
mod child;
mod child_exit;
mod child_process;
mod colon_commands;
mod compilation;
mod compile_progress;
pub mod completeness;
mod control;
mod engine;
mod error;
mod errors;
mod evcxr_lines;
mod event;
mod executor;
mod interrupt_policy;
mod machine_memory;
mod panic_report;
mod relay;
mod rust;
mod rust_error;
mod rust_result;
mod sentinel;
mod session_folder;
pub mod share;
mod shared_state;
mod statement;
mod stderr_filter;
mod stderr_tail;
mod supervisor;
mod typed_cell;
mod unix;

pub use analyzer::run as run_analyzer;
pub use child::run as run_child;
pub use completeness::Completeness;
pub use engine::{Engine, EngineOptions};
pub use error::EngineError;
pub use evcxr::runtime_hook;
pub use event::EngineEvent;
pub use executor::{Executor, Work};
pub use relay::run as run_relay;
pub use rust_error::RustError;
pub use rust_result::{RustCompletion, RustInspection, RustOutput};
pub use session_folder::sweep as sweep_sessions;
pub use share::Share;
