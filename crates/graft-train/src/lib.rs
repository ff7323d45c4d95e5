//! Loss, optimizer, training loop, checkpoints and the ledger of runs.
//!
//! [`fit()`] trains a list of graft-nn's `Trainable`s on [`Examples`] of a [`data::Dataset`],
//! [`resume`] continues a run with the same losses that it would have had without the interruption,
//! and [`evaluate()`] measures loss and accuracy. The loop is in `fit.rs`.
//!
//! The crate does not depend on a fine-tuning method or on the display: it emits the events of
//! graft-protocol and writes a [`runs::RunFolder`].
//!
//! # Examples
//! Train the norms of the embedded model on the built-in data set for a few steps:
//!
//! ```
//! use graft_nn::{Device, Layer, Trainable};
//! use graft_spec::{Settings, Value};
//! use graft_train::runs::{RunFolder, RunHeader};
//! use graft_train::{Control, Examples, TrainConfig, TrainingJob, data, fit};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = graft_models::load("tiny", &Settings::default(), &Device::Cpu, &mut |_, _, _| {})?;
//! let model = &*loaded.model;
//! let data = data::builtin("which-book")?.expect("the name of a built-in data set");
//!
//! let mut trainables = Vec::new();
//! for site in model.sites() {
//!     let Layer::Norm(norm) = site.layer else { continue };
//!     trainables.push(Trainable::new(norm.path(), norm.weight().train()?));
//! }
//!
//! let keys = [("steps", 6), ("batch", 4), ("warmup", 0), ("eval_every", 0)];
//! let keys = keys.into_iter().fold(Settings::default(), |settings, (key, value)| {
//!     settings.with(key, Value::Integer(value))
//! });
//! let config = TrainConfig::from_settings(&keys, 1e-2, 0);
//! let folder = tempfile::tempdir()?;
//! let job = TrainingJob {
//!     model,
//!     trainables: trainables.clone(),
//!     batches: &Examples::new(model, loaded.tokenizer.as_ref(), &data, &config)?,
//!     config,
//!     folder: RunFolder::create(folder.path(), "norms")?,
//!     header: RunHeader::default(),
//!     checkpoint: &trainables,
//!     keeps_best: false,
//!     callbacks: None,
//!     metrics: Vec::new(),
//!     predicted_memory: None,
//! };
//! let run = job.folder.clone();
//! let ended = fit(job, &Control::new(), &mut |event| drop(event))?;
//! assert_eq!(ended.step, 6);
//!
//! // The ledger records every step.
//! let steps = run.record()?.steps;
//! assert_eq!(steps.len(), 6);
//! assert!(steps.iter().all(|step| step.loss.is_finite() && step.grad_norm > 0.0));
//! # Ok(())
//! # }
//! ```

pub mod batch;
pub mod best;
pub mod fit;
pub mod loss;
pub mod memory;
pub mod optimizer;
pub mod preference;
pub mod runs;
pub mod schedule;

mod batch_size;
mod batch_source;
mod callbacks;
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
mod loop_state;
mod packed_forward;
mod preview;
mod seq2seq_pass;
#[cfg(test)]
mod testing;

pub use graft_data as data;

pub use batch_size::largest_batch;
pub use batch_source::{BatchSource, Validation, ValidationMetric};
pub use best::Direction;
pub use callbacks::{Callbacks, StepEvent};
pub use chat::{chat_template, encode_chat};
pub use checkpoint_state::{AdapterCheckpoint, CheckpointState};
pub use classify::{LabelMap, label_map};
pub use config::{TrainConfig, loss_on};
pub use control::Control;
pub use device::device_of;
pub use encode::{EncodeOptions, encode_example};
pub use error::{Result, TrainError};
pub use evaluate::{
    Evaluation, Evaluator, LargestPass, Request, evaluate, evaluate_with_predictions,
};
pub use examples::{EncodedExamples, Examples, VALIDATION_BATCH, samples};
pub use fingerprint::{of_tensors as tensors_fingerprint, weights_fingerprint};
pub use fit::{TrainingLoop, fit, resume};
pub use job::TrainingJob;
pub use loop_state::LoopState;
pub use preview::{Preview, preview};
