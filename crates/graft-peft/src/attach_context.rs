//! The model and everything else that an adapter is built from.

use graft_nn::{Model, TokenEncoder};

use crate::{Allowance, Inputs, Originals, PeftError, weights_file::WeightsFile};

/// What adapters are made on.
#[derive(Clone, Copy)]
pub struct AttachContext<'a> {
    /// The base model.
    pub model: &'a dyn Model,
    /// Its tokenizer, for soft prompts that start from a text.
    pub tokenizer: Option<&'a dyn TokenEncoder>,
    /// Decides every initial weight.
    pub seed: u64,
    /// What the model is called: it is written into the adapter's files and compared with what they say.
    pub base_name: &'a str,
    /// The data that it is to be trained on, for starts that look at them.
    pub inputs: Option<&'a dyn Inputs>,
    /// Its weights before they were packed, for starts that make up for the loss.
    pub originals: Option<&'a dyn Originals>,
    /// How many numbers the adapter may have; set by [`attach`] and [`load`].
    pub allowance: Option<&'a Allowance>,
}

impl<'a> AttachContext<'a> {
    /// A model alone: no tokenizer, no data, nothing packed.
    pub fn new(model: &'a dyn Model, base_name: &'a str, seed: u64) -> Self {
        Self {
            model,
            tokenizer: None,
            seed,
            base_name,
            inputs: None,
            originals: None,
            allowance: None,
        }
    }
}

impl AttachContext<'_> {
    /// Asks for the numbers of a tensor called `name` in the layer at `path`.
    ///
    /// # Errors
    /// [`PeftError::TooLarge`].
    pub(crate) fn reserve(&self, name: &str, path: &str, shape: &[usize]) -> Result<(), PeftError> {
        self.allowance.map_or(Ok(()), |allowance| allowance.take(name, path, shape))
    }

    /// Asks whether a whole network would fit, before the first of its tensors is made.
    ///
    /// # Errors
    /// [`PeftError::TooLarge`].
    pub(crate) fn foresee(&self, name: &str, path: &str, shape: &[usize]) -> Result<(), PeftError> {
        self.allowance.map_or(Ok(()), |allowance| allowance.foresee(name, path, shape))
    }

    /// The weights that the adapter is built for; none for a fresh one.
    pub(crate) fn file(&self) -> Option<&WeightsFile> {
        self.allowance.and_then(Allowance::file)
    }
}
