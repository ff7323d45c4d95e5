//! What a training needs.

use graft_nn::{Model, Trainable};

use crate::TrainConfig;
use crate::batch_source::BatchSource;
use crate::checkpoint_state::CheckpointState;
use crate::runs::{RunFolder, RunHeader};

/// A training, ready to begin or to go on.
pub struct Run<'a> {
    /// The model, adapters attached and active.
    pub model: &'a dyn Model,
    /// What is trained.
    pub trainables: Vec<Trainable>,
    /// Where the micro-batches come from.
    pub source: &'a dyn BatchSource,
    /// Steps, rates and the rest.
    pub config: TrainConfig,
    /// Where ledger and checkpoints go.
    pub folder: RunFolder,
    /// The run's head.
    pub header: RunHeader,
    /// What checkpoints keep of the adapter.
    pub state: &'a dyn CheckpointState,
    /// Whether the weights with the lowest validation loss are kept.
    pub keeps_best: bool,
    /// Bytes that it is expected to take on top of the model, for the ledger.
    pub predicted: Option<u64>,
}
