//! The session end to end, in one process, on a model of a few kilobytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ablation;
mod adapters;
mod background;
mod chat;
mod check;
mod class;
mod data;
mod decoder_classifier;
mod encoder;
mod errors;
mod forgetting;
mod hints;
mod jobs;
mod limits;
mod memory;
mod metrics;
mod next_steps;
mod packed;
mod reading;
mod runs;
mod scripts;
mod seq2seq;
mod test_session;
mod text;
mod text_golden;
mod text_golden_chat;
mod tiny;
mod training;
