//! Data, loss, optimizer, training loop, checkpoints and the ledger of runs.
//!
//! [`fit()`] trains a list of graft-nn's `Trainable`s on [`Examples`] of a [`data::Dataset`],
//! [`resume`] continues a run with the same losses that it would have had without the interruption,
//! and [`evaluate()`] measures loss and accuracy. The loop is in `fit.rs`.
//!
//! The crate does not depend on a fine-tuning method or on the display: it emits the events of
//! graft-protocol and writes a [`runs::RunFolder`].

pub mod batch;
pub mod data;
pub mod fit;
pub mod loss;
pub mod memory;
pub mod optimizer;
pub mod runs;
pub mod schedule;

mod batch_size;
mod batch_source;
mod chat;
mod checkpoint_state;
mod classify;
mod config;
mod control;
mod device;
mod encode;
mod error;
mod evaluate;
mod examples;
mod fingerprint;
mod gather;
mod gradient_norm;
mod job;
mod packed_forward;
mod preview;
#[cfg(test)]
mod testing;

pub use batch_size::largest_batch;
pub use batch_source::{BatchSource, Validation};
pub use chat::encode_chat;
pub use checkpoint_state::{AdapterCheckpoint, CheckpointState};
pub use classify::{LabelMap, label_map};
pub use config::TrainConfig;
pub use control::Control;
pub use device::device_of;
pub use encode::encode_example;
pub use error::{Result, TrainError};
pub use evaluate::{Evaluation, Evaluator, LargestPass, Request, evaluate};
pub use examples::{Examples, VALIDATION_BATCH, samples};
pub use fingerprint::{of_tensors as tensors_fingerprint, weights_fingerprint};
pub use fit::{TrainingLoop, fit, resume};
pub use job::TrainingJob;
pub use preview::{Preview, preview};
