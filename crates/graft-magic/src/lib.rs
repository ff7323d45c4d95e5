//! Parses the text of a cell into commands.
//!
//! [`parse_cell`] splits a cell into [`Part`]s: magics, Rust, commands of evcxr and shell lines.
//! Every magic is defined once, in a file of `verbs/`. Its parser, `-h`, completion, inspection,
//! "did you mean" and the reference page are derived from that definition; its keys are
//! [`graft_spec::KeySpec`]s.
//!
//! This crate never blocks, compiles or opens a file, and has no tensors. The names of modules,
//! adapters, data and runs come from the [`graft_protocol::Snapshot`] that the child sends.
//!
//! ```text
//! cell.rs        text -> part.rs        words.rs      one line -> words with spans
//! verbs.rs       the registry           arguments.rs  words -> checked Invocation
//! expressions.rs Rust expressions in braces
//! line.rs        one magic -> PartKind  rust_source.rs  Command -> Rust code
//! habits.rs      hints for magics of other kernels and for Python
//! ```

pub mod cell;
pub mod part;
pub mod verb;
pub mod verbs;

mod arguments;
mod complete;
mod completeness;
mod expressions;
mod habits;
mod help;
mod inspect;
mod line;
mod modules;
mod place;
mod reference;
mod rust_source;
mod script;
mod suggest;
mod words;

pub use cell::parse_cell;
pub use complete::{Completion, Item, ItemKind, complete};
pub use completeness::{Completeness, is_complete};
pub use expressions::{Deferred, Expression};
pub use habits::not_rust::{NotRust, magic_after_rust, not_rust};
pub use help::{FormDoc, VerbDoc, host_reply};
pub use inspect::{Inspection, inspect};
pub use part::{HostCommand, Part, PartKind};
pub use reference::{reference, reference_markdown};
pub use rust_source::rust_source;
pub use script::script_cells;
