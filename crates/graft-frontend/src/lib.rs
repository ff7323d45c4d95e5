//! The vocabulary that Jupyter and the terminal share.
//!
//! A cell writes to a [`Frontend`]: streams, rich displays ([`Rich`]), errors ([`CellError`]) and
//! questions to the user. [`OutputBudget`] applies back-pressure to a cell that prints faster than
//! its readers read, and [`Interrupt`] carries the stop button. This crate has no sockets and does
//! not depend on evcxr.

mod backpressure;
mod interrupt;
mod output;
mod rendering;

pub use backpressure::OutputBudget;
pub use interrupt::Interrupt;
pub use output::{Answer, CellError, Frontend, Rich, RichSource, Stream};
