//! The session end to end, in one process, on a model of a few kilobytes.

mod adapters;
mod errors;
mod jobs;
mod tiny;
mod training;
mod world;
