//! What the session can do: one file per family of verbs. Each verb is a function of a [`crate::CommandContext`] that returns its result with
//! its types, for Rust cells; the result turns into blocks for the magics.

pub mod ablate;
pub mod adapter;
mod advice;
pub mod attach;
pub(crate) mod bare;
pub mod combine;
pub mod compare;
pub mod data;
pub mod device;
mod domain;
mod effect;
pub mod eval;
pub mod forgetting;
pub mod generate;
pub mod jobs;
mod labels;
pub mod load_adapter;
pub mod memory;
pub mod model;
pub mod params;
pub mod resume;
pub mod runs;
pub mod seed;
mod sources;
pub mod status;
pub mod train;
pub mod tree;
pub mod trial;
pub mod weights;
pub(crate) mod words;
