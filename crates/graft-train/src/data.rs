//! Data sets: prompts with completions, running text, or text with labels; from files, from a cell, or built in.
//!
//! Whatever the kind, an [`Example`] is a prompt and a completion: running text has an empty prompt, text with labels is put into a
//! template and the label is the completion. Losses count the completion only.
//!
//! A file is a stream from the first byte on: recognised by its content ([`DataError::Foreign`] for what is not read), unpacked, decoded, cut into
//! lines of bounded length, parsed, and collected as records. A [`ReadReport`] says what each column was taken for.

mod collect;
mod columns;
mod csv;
mod dataset;
mod detect;
mod error;
mod jsonl;
mod lines;
mod open;
mod read;
mod record;
mod split;
mod table;

pub use columns::ReadReport;
pub use dataset::{Dataset, Example, Kind, SplitName};
pub use error::DataError;
pub use read::{BUILTIN, assets, builtin, builtin_with, load_file, load_text, parse_inline};
