//! The input of the training loop.

use graft_nn::{Model, Trainable};

use crate::TrainConfig;
use crate::batch_source::{BatchSource, ValidationMetric};
use crate::callbacks::Callbacks;
use crate::checkpoint_state::CheckpointState;
use crate::runs::{RunFolder, RunHeader};

/// One training run: the model, the trained parameters, the data and the settings.
///
/// [`fit`](crate::fit()) starts it at step 1, [`resume`](crate::resume) continues it from its
/// newest checkpoint, and a [`TrainingLoop`](crate::TrainingLoop) runs it a few steps at a time.
pub struct TrainingJob<'a> {
    /// The model, with its adapters attached and active.
    pub model: &'a dyn Model,
    /// The parameters to train.
    pub trainables: Vec<Trainable>,
    /// The source of the micro-batches, usually [`Examples`](crate::Examples).
    pub batches: &'a dyn BatchSource,
    /// Number of steps, learning rate and the other settings.
    pub config: TrainConfig,
    /// The folder of the ledger and the checkpoints.
    pub folder: RunFolder,
    /// The header written to the ledger and to each checkpoint.
    pub header: RunHeader,
    /// The tensors that a checkpoint saves and restores.
    pub checkpoint: &'a dyn CheckpointState,
    /// Whether to save the weights with the lowest validation loss.
    pub keeps_best: bool,
    /// The user's code that runs after each step or computes the loss.
    pub callbacks: Option<&'a dyn Callbacks>,
    /// Metrics that validations measure in addition to loss and accuracy.
    pub metrics: Vec<&'a dyn ValidationMetric>,
    /// Predicted memory on top of the model in bytes, for the ledger.
    pub predicted_memory: Option<u64>,
}
