//! The session: named objects (one model, its adapters, data sets, runs) and the one interpreter of [`graft_protocol::Command`].
//!
//! Magics, `graft run` and Rust cells all end here. What changes something or takes long is a job; jobs run one after the other
//! on a thread of their own. What only reads is answered at once from the state as the last change left it; what reads the model while a job has it runs
//! on that thread between two steps, with the user's own adapters (`readers`).
//! This crate knows no socket, no Jupyter and no drawing: news goes to a [`Sink`], answers are data.
//!
//! Reading order: [`Session`], then [`state`], then one file of [`verbs`].

mod background;
mod command_context;
mod error;
mod interpret;
mod job;
mod provenance;
mod readers;
mod session;
mod sink;
mod snapshot;
pub mod state;
mod suggest;
pub mod verbs;

pub use command_context::CommandContext;
pub use error::SessionError;
pub use session::Session;
pub use sink::Sink;
pub use state::State;
