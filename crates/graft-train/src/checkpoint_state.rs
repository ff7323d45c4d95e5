//! What a training asks of the thing that is trained, beside its list of parameters.

use std::collections::BTreeMap;

use graft_nn::{NnError, Tensor, Trainable, TrainingHook};

/// Tensors by name that make up an adapter (or a model): all that is needed to put it back as it was. A method with a schedule of its own is also
/// asked in each step.
pub trait CheckpointState {
    /// A method's own part in the training.
    fn training_hook(&self) -> Option<&dyn TrainingHook> {
        None
    }

    /// The tensors now.
    ///
    /// # Errors
    /// When they cannot be read.
    fn state(&self) -> graft_nn::Result<BTreeMap<String, Tensor>>;

    /// Puts tensors back that [`CheckpointState::state`] gave.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    fn restore(&self, state: &BTreeMap<String, Tensor>) -> graft_nn::Result<()>;
}

/// Parameters with a method's own part in their training.
pub struct AdapterCheckpoint<'a> {
    /// The parameters.
    pub trainables: &'a Vec<Trainable>,
    /// The method's part.
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

/// A list of parameters is its own state, under their names.
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
