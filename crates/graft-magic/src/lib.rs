//! From the text of a cell to what is to be done.
//!
//! A cell is cut into [`Part`]s ([`parse_cell`]): magics, Rust, evcxr's commands, shell lines. Every verb is defined once, in a
//! file under `verbs/`; its parser, `-h`, completion, inspection, "did you mean" and reference page all read that one definition,
//! and its keys are the [`graft_spec::KeySpec`]s of graft-spec. Nothing here blocks, compiles, opens a file or uses a tensor:
//! names of modules, adapters, data and runs come from the [`graft_protocol::Snapshot`] that the child pushes.
//!
//! ```text
//! cell.rs        text -> parts          words.rs      one line -> words with spans
//! verbs.rs       the registry           arguments.rs  words -> Invocation, checked
//! line.rs        one magic -> PartKind  rust_source.rs  Command -> the same in Rust
//! habits.rs      what other kernels and Python would have understood
//! ```

pub mod cell;
pub mod verb;
pub mod verbs;

mod arguments;
mod complete;
mod completeness;
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

pub use cell::{HostCommand, Part, PartKind, parse_cell};
pub use complete::{Completion, Item, ItemKind, complete};
pub use completeness::{Completeness, is_complete};
pub use habits::not_rust::{NotRust, magic_after_rust, not_rust};
pub use help::{FormDoc, VerbDoc, host_reply};
pub use inspect::{Inspection, inspect};
pub use reference::{reference, reference_markdown};
pub use rust_source::rust_source;
pub use script::script_cells;
