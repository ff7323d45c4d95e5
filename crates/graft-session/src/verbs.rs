//! The verbs of a session, one file per magic.
//!
//! A verb is a function of a [`crate::CommandContext`] that returns a typed result for Rust cells.
//! For magics the result is converted into a reply.

pub mod ablate;
pub mod adapter;
pub(crate) mod adapters_disabled;
mod advice;
pub(crate) mod answers;
pub mod attach;
pub mod chat;
pub mod check;
pub mod class;
pub mod combine;
pub mod compare;
pub mod data;
pub mod device;
mod domain;
pub mod eval;
pub mod forgetting;
pub(crate) mod format;
pub mod generate;
mod init_data;
pub mod jobs;
mod labels;
pub mod load_adapter;
pub mod memory;
pub mod model;
pub(crate) mod named_adapter;
pub mod params;
mod preference;
pub mod resume;
pub mod runs;
pub mod seed;
pub mod status;
pub mod train;
pub mod tree;
pub mod trial;
mod update_summary;
pub mod weights;
