//! The model and the other inputs that an adapter is built from.

use graft_nn::{Model, TokenEncoder};

use crate::{Allowance, Inputs, Originals, PeftError, weights_file::WeightsFile};

/// What an adapter is built from.
#[derive(Clone, Copy)]
pub struct AttachContext<'a> {
    /// The base model.
    pub model: &'a dyn Model,
    /// Its tokenizer, for soft prompts that are initialized from a text.
    pub tokenizer: Option<&'a dyn TokenEncoder>,
    /// Seed of all initial weights.
    pub seed: u64,
    /// Name of the model: it is written to the adapter's files and compared with the name in a
    /// loaded file.
    pub base_name: &'a str,
    /// The training data, for initializations that read it (EVA).
    pub inputs: Option<&'a dyn Inputs>,
    /// The weights before quantization, for initializations that reduce the quantization error
    /// (LoftQ).
    pub originals: Option<&'a dyn Originals>,
    /// The size limit of the adapter; set by [`attach`](crate::attach()) and [`load`](crate::load).
    pub allowance: Option<&'a Allowance>,
}

impl<'a> AttachContext<'a> {
    /// A context with only a model: without tokenizer, data and original weights.
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
    /// Reserves the parameters of the tensor `name` in the layer at `path`.
    ///
    /// # Errors
    /// [`PeftError::TooLarge`].
    pub(crate) fn reserve(&self, name: &str, path: &str, shape: &[usize]) -> Result<(), PeftError> {
        self.allowance.map_or(Ok(()), |allowance| allowance.reserve(name, path, shape))
    }

    /// Checks that a whole network fits, before its first tensor is allocated.
    ///
    /// # Errors
    /// [`PeftError::TooLarge`].
    pub(crate) fn check_fits(
        &self,
        name: &str,
        path: &str,
        shape: &[usize],
    ) -> Result<(), PeftError> {
        self.allowance.map_or(Ok(()), |allowance| allowance.check_fits(name, path, shape))
    }

    /// The weights file that the adapter is built for; `None` for a fresh adapter.
    pub(crate) fn file(&self) -> Option<&WeightsFile> {
        self.allowance.and_then(Allowance::file)
    }
}
