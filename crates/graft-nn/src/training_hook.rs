//! What a method does in a training beside having its parameters updated.

use std::collections::BTreeMap;

use crate::{Result, Tensor};

/// Accompanies a training: a term of the loss, and a change of its own after each update. AdaLoRA shares out its ranks this way.
pub trait TrainingHook: Send + Sync {
    /// A training of `steps` steps begins or goes on.
    ///
    /// # Errors
    /// [`crate::NnError::Schedule`] when the method's schedule has no room in it.
    fn start(&self, steps: u64) -> Result<()>;

    /// A scalar that is added to the loss of each step.
    ///
    /// # Errors
    /// What candle says.
    fn penalty(&self) -> Result<Tensor>;

    /// Step `step`, counted from 1, has updated the parameters with these gradients, by the parameters' names.
    ///
    /// # Errors
    /// What candle says.
    fn after_step(&self, step: u64, gradients: &BTreeMap<&str, &Tensor>) -> Result<()>;

    /// What a checkpoint must keep beside the parameters.
    fn state(&self) -> BTreeMap<String, Tensor>;

    /// Takes up what [`TrainingHook::state`] gave; other tensors in the map are none of its business.
    ///
    /// # Errors
    /// What candle says.
    fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()>;
}
