//! Data sets: prompts with completions, running text, or text with labels; from files, from a cell, or built in.
//!
//! Whatever the kind, an [`Example`] is a prompt and a completion: running text has an empty prompt, text with labels is put into a
//! template and the label is the completion. Losses count the completion only.

mod csv;
mod dataset;
mod error;
mod jsonl;
mod read;
mod record;
mod share;
mod table;

pub use dataset::{Dataset, Example, Kind, SplitName};
pub use error::DataError;
pub use read::{BUILTIN, assets, builtin, builtin_with, load_file, parse_inline};
