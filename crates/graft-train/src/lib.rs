//! Data, loss, optimizer, the loop, checkpoints and the ledger of runs.
//!
//! [`fit()`] trains what a method made trainable (a list of graft-nn's `Trainable`s) on a [`data::Dataset`]; [`resume`] goes on with the very
//! losses the uninterrupted run would have had; [`evaluate()`] measures. The loop itself is in `fit.rs`. This crate knows no method and no
//! display: it emits graft-protocol's events and writes a [`runs::RunFolder`].

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
#[cfg(test)]
mod testing;

pub use batch_size::largest_batch;
pub use batch_source::{BatchSource, Validation};
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
