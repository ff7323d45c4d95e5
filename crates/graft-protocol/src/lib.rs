//! The wire format between the host and the child process.
//!
//! The host (the Jupyter kernel or `graft run`) parses text into a [`Command`]; the child executes
//! it and answers with a [`Reply`] or a [`graft_spec::Failure`], and sends [`Event`]s while it
//! works. This crate holds these types and the [`frame`] format in which they travel. It has no
//! tensors, no Jupyter messages and no drawing code.

pub mod block;
pub mod chart;
pub mod check;
pub mod command;
pub mod confusion;
pub mod event;
pub mod frame;
pub mod heat;
pub mod message;
pub mod reply;
pub mod sentinel;
pub mod snapshot;
pub mod table;
pub mod tokens;

pub use block::{Block, Level, SideText, TreeLine};
pub use chart::{Chart, Series, SeriesStyle};
pub use check::{CheckResult, Points};
pub use command::{AdapterAction, ChatAction, ClassAction, Command, RunsAction};
pub use confusion::ConfusionMatrix;
pub use event::{
    Event, MemoryUse, MimeBundle, Rewards, RunEnded, RunOutcome, RunStarted, StepRecord,
    ValidationRecord,
};
pub use heat::HeatMap;
pub use message::{CellEnd, FromChild, PROTOCOL_VERSION, ToChild};
pub use reply::Reply;
pub use snapshot::{AdapterEntry, ModelEntry, ModuleEntry, Snapshot};
pub use table::{Align, Cell, Column, Table};
pub use tokens::{ShownToken, TokenList};
