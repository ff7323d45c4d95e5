//! The session: named objects (one model, its adapters, data sets, runs) and the one interpreter of
//! [`graft_protocol::Command`].
//!
//! Magics, `graft run` and Rust cells all call this crate. Commands that change something or take
//! long are jobs, which run one after the other on a thread of their own. Commands that only read
//! the state are answered at once. Commands that read the model while a job uses it run between two
//! steps of that job, with the user's own adapters (`readers`).
//!
//! This crate contains no sockets, no Jupyter protocol and no rendering: events go to a [`Sink`],
//! replies are data.
//!
//! Reading order: [`Session`], then [`state`], then one file of [`verbs`].

mod background;
mod callbacks;
pub(crate) mod class;
mod command_context;
mod error;
mod interpret;
mod job;
mod provenance;
mod readers;
mod session;
mod shared_state;
mod sink;
mod snapshot;
pub mod state;
mod suggest;
pub mod verbs;

pub use callbacks::UserCallbacks;
pub use command_context::CommandContext;
pub use error::SessionError;
pub use session::Session;
pub use sink::Sink;
pub use state::SessionState;
