//! Data files to examples: formats, columns, shapes and splits. The crate does not depend on
//! tensors or tokenizers.
//!
//! An [`Example`] is a prompt and a completion; plain text has an empty prompt. Text with labels is
//! inserted into a template, and the label is the completion. Conversations and preferences have
//! more than that in [`Extra`].
//!
//! A file is read as a stream: its format is detected from its content ([`DataError::Foreign`] for
//! formats that are not supported), it is decompressed, decoded, split into rows of limited length,
//! and collected as examples. The shape of the data follows from the names of its columns, or from
//! `columns=`. A [`ReadReport`] lists the use of each column.

mod chat_template;
mod collect;
mod columns;
mod conversation;
mod csv;
mod dataset;
mod detect;
mod error;
mod examples;
mod format;
mod json_array;
mod json_row;
mod json_text;
mod jsonl;
mod labels;
mod lines;
mod open;
mod options;
mod parquet_file;
mod place;
mod plain_text;
mod read;
mod record;
mod roles;
mod shape;
mod sniff;
mod sources;
mod split;
mod table;
mod template;
mod text;

pub use chat_template::ChatTemplateChoice;
pub use columns::ReadReport;
pub use dataset::{Conversation, Dataset, Example, Extra, Kind, SplitName};
pub use error::DataError;
pub use place::Place;
pub use read::{
    BUILTIN, Limits, assets, builtin, builtin_with, load_file, load_files, load_text, parse_inline,
};
pub use sources::{SourceFile, is_data, split_of, with_splits};
pub use text::Text;
