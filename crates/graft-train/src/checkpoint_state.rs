//! The tensors that a checkpoint saves and restores.

use std::collections::BTreeMap;

use graft_nn::{NnError, Tensor, Trainable, TrainingHook};

/// The state of what is trained, as named tensors: everything needed to restore it.
///
/// A list of [`Trainable`]s is its own state. [`AdapterCheckpoint`] adds the state of a method's
/// schedule.
pub trait CheckpointState: Sync {
    /// The hook that a method runs in each training step.
    fn training_hook(&self) -> Option<&dyn TrainingHook> {
        None
    }

    /// The current tensors.
    ///
    /// # Errors
    /// When a tensor cannot be copied from its device.
    fn state(&self) -> graft_nn::Result<BTreeMap<String, Tensor>>;

    /// Restores tensors returned by [`CheckpointState::state`].
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    fn restore(&self, state: &BTreeMap<String, Tensor>) -> graft_nn::Result<()>;
}

/// An adapter's trained parameters and its method's training hook.
///
/// A checkpoint of an adapter contains the tensors of both: the parameters under their names, and
/// what the hook returns from [`TrainingHook::state`], such as the current ranks of AdaLoRA.
pub struct AdapterCheckpoint<'a> {
    /// The trained parameters.
    pub trainables: &'a Vec<Trainable>,
    /// The method's hook, if it has one.
    pub training_hook: Option<&'a dyn TrainingHook>,
}

impl CheckpointState for AdapterCheckpoint<'_> {
    fn training_hook(&self) -> Option<&dyn TrainingHook> {
        self.training_hook
    }

    fn state(&self) -> graft_nn::Result<BTreeMap<String, Tensor>> {
        let mut state = self.trainables.state()?;
        state.extend(
            self.training_hook.map(|training_hook| training_hook.state()).into_iter().flatten(),
        );
        Ok(state)
    }

    fn restore(&self, state: &BTreeMap<String, Tensor>) -> graft_nn::Result<()> {
        self.trainables.restore(state)?;
        self.training_hook.map_or(Ok(()), |training_hook| training_hook.restore(state))
    }
}

/// The parameters under their names.
impl CheckpointState for Vec<Trainable> {
    fn state(&self) -> graft_nn::Result<BTreeMap<String, Tensor>> {
        self.iter()
            .map(|trainable| {
                Ok((trainable.name.clone(), trainable.var.as_detached_tensor().copy()?))
            })
            .collect()
    }

    fn restore(&self, state: &BTreeMap<String, Tensor>) -> graft_nn::Result<()> {
        for trainable in self {
            let missing = || NnError::Shape {
                what: "checkpoint",
                expected: format!("a tensor `{}`", trainable.name),
                found: Vec::new(),
            };
            let tensor = state.get(&trainable.name).ok_or_else(missing)?;
            if tensor.dims() != trainable.var.dims() {
                let error = NnError::Shape {
                    what: "checkpoint",
                    expected: format!("{:?}", trainable.var.dims()),
                    found: tensor.dims().to_vec(),
                };
                return Err(NnError::at_path(error, &trainable.name));
            }
            trainable.var.set(&tensor.to_device(trainable.var.device())?)?;
        }
        Ok(())
    }
}
