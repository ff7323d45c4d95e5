//! Hooks of a method in the training loop.

use std::collections::BTreeMap;

use crate::{Result, Tensor};

/// Hooks that the training loop calls for a method: an additional term of the loss, and an update
/// after each step. AdaLoRA reallocates its ranks this way.
pub trait TrainingHook: Send + Sync {
    /// Called when a run of `steps` training steps starts or resumes.
    ///
    /// # Errors
    /// [`crate::NnError::Schedule`] if the method's schedule does not fit into the run.
    fn start(&self, steps: u64) -> Result<()>;

    /// A scalar that is added to the loss of each step.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn penalty(&self) -> Result<Tensor>;

    /// Called after step `step`, counted from 1, with the gradients by parameter name.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn after_step(&self, step: u64, gradients: &BTreeMap<&str, &Tensor>) -> Result<()>;

    /// The state that a checkpoint must contain in addition to the parameters.
    fn state(&self) -> BTreeMap<String, Tensor>;

    /// Restores the state of [`TrainingHook::state`]; unrelated entries are ignored.
    ///
    /// # Errors
    /// Returns an error if the underlying candle operation fails.
    fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()>;
}
