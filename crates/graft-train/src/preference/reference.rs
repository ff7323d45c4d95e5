//! The reference model of a preference run: the same model with other weights.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;

use graft_nn::Tensor;

use crate::checkpoint_state::CheckpointState;
use crate::runs::{RunFolder, SavedWeights};
use crate::{Result, TrainError};

/// The model that a preference run compares its own with. It shares the weights of the model, so it
/// is only in use during `pass`.
pub trait ReferenceModel: Sync {
    /// Runs `pass` while the model has the weights of the reference, and restores its own
    /// afterwards, also after an error or a panic.
    ///
    /// # Errors
    /// Those of `pass`, and of changing the weights.
    fn with(&self, pass: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// Copies of the trained parameters that the reference keeps in memory while it is in use.
    fn copies(&self) -> u64 {
        0
    }
}

/// The adapter as it was before the first step: its tensors are exchanged during a pass.
pub struct StartingWeights<'a> {
    current: &'a dyn CheckpointState,
    /// Empty until the first pass of a new run, which is before its first step.
    start: OnceLock<BTreeMap<String, Tensor>>,
}

impl<'a> StartingWeights<'a> {
    /// Copies of the trained parameters in memory during a pass: the starting and the own weights.
    pub const COPIES: u64 = 2;

    /// The weights that a run has saved before its first step; the current ones if it has not
    /// started.
    ///
    /// # Errors
    /// When the saved weights cannot be read, or do not exist although the run has started.
    pub fn of(folder: &RunFolder, current: &'a dyn CheckpointState) -> Result<Self> {
        let start = if folder.checkpoints().is_empty() {
            OnceLock::new()
        } else {
            OnceLock::from(folder.weights(SavedWeights::Start)?.adapter()?)
        };
        Ok(Self { current, start })
    }
}

impl ReferenceModel for StartingWeights<'_> {
    fn with(&self, pass: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let own = self.current.state()?;
        let start = self.start.get_or_init(|| own.clone());
        let passed = match self.current.restore(start) {
            Ok(()) => catch_unwind(AssertUnwindSafe(pass)),
            Err(error) => Ok(Err(error.into())),
        };
        let restored = self.current.restore(&own).map_err(TrainError::from);
        match passed {
            Ok(result) => result.and(restored),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn copies(&self) -> u64 {
        Self::COPIES
    }
}
