//! Data sets: prompts with completions, plain text, or text with labels; read from files, from a
//! cell, or built in.
//!
//! Every [`Example`] is a prompt and a completion. Plain text has an empty prompt. Text with labels
//! is inserted into a template, and the label is the completion. Only the completion has a loss.
//!
//! A file is read as a stream: its format is detected from its content ([`DataError::Foreign`] for
//! formats that are not supported), it is decompressed, decoded, split into lines of limited
//! length, parsed, and collected as records. A [`ReadReport`] lists the use of each column.

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
mod unsupported;

pub use columns::ReadReport;
pub use dataset::{Dataset, Example, Kind, SplitName};
pub use error::DataError;
pub use read::{BUILTIN, assets, builtin, builtin_with, load_file, load_text, parse_inline};
