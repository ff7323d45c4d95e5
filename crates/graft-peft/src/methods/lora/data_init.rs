//! The result of an initialization that reads data or the weights before quantization, and that
//! runs before the layers are built.

use std::collections::BTreeMap;

use graft_nn::{Embedding, Linear, Tensor};

use super::LowRankInit;
use crate::{PeftError, config_file::ConfigFile};

/// The fields and weights that such an initialization has computed.
#[derive(Default)]
pub(super) struct DataInit {
    /// The fields, if they change.
    pub(super) config: Option<ConfigFile>,
    /// A, and B if it is not zero, by the path of the layer.
    pub(super) weights: BTreeMap<String, (Tensor, Option<Tensor>)>,
    /// A note about the result.
    pub(super) note: Option<String>,
}

/// The linear layers and the embeddings that an adapter is built for.
pub(super) type Chosen<'a> = (Vec<&'a Linear>, Vec<&'a Embedding>);

impl DataInit {
    /// Replaces the initial weights of a layer by the computed ones.
    ///
    /// # Errors
    /// [`PeftError::Layer`] if the shapes differ.
    pub(super) fn put(&self, path: &str, initialized: &LowRankInit) -> Result<(), PeftError> {
        let Some((a, b)) = self.weights.get(path) else { return Ok(()) };
        initialized.a.set(&a.to_device(initialized.a.device())?)?;
        if let Some(b) = b {
            initialized.b.set(&b.to_device(initialized.b.device())?)?;
        }
        Ok(())
    }
}
