//! What the host and the child of Graft say to each other.
//!
//! The host (the Jupyter kernel or `graft run`) parses text into a [`Command`], the child executes it and answers with a
//! [`Reply`] or a [`Failure`]; while it works it sends [`Event`]s. This crate holds those types, the keys of every method
//! and of training ([`methods`], [`training`]), and the [`frame`] format they travel in. It knows no tensor, no Jupyter, no drawing.

pub mod ablation;
pub mod chart;
pub mod combination;
pub mod command;
pub mod event;
pub mod failure;
pub mod frame;
pub mod heat;
pub mod mark;
pub mod message;
pub mod methods;
pub mod number;
pub mod reply;
pub mod settings;
pub mod snapshot;
pub mod table;
pub mod training;
pub mod user_file;

pub use chart::{Chart, Series, SeriesStyle};
pub use command::{AdapterAction, Command, RunsAction};
pub use event::{
    Event, Level, MemoryUse, MimeBundle, RunEnded, RunOutcome, RunStarted, StepRecord,
    ValidationRecord,
};
pub use failure::{Failure, Hint, Span};
pub use heat::HeatMap;
pub use message::{CellEnd, FromChild, PROTOCOL_VERSION, ToChild};
pub use reply::{Block, Reply, SideText};
pub use settings::{AUTO, KeyKind, KeySpec, Settings, Value};
pub use snapshot::{AdapterEntry, ModelEntry, ModuleEntry, Snapshot};
pub use table::{Align, Cell, Column, Table};
