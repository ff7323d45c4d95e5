//! Initializations that read data or the weights before quantization, and that run before the
//! layers are built.

use std::collections::BTreeMap;

use graft_nn::{Embedding, Linear, Tensor};

use super::{Init, LoraConfig, LowRankInit, eva, loftq};
use crate::{AttachContext, PeftError, config_file::ConfigFile, init_source::InitSource};

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
    /// Runs the initialization that `init_lora_weights` selects.
    ///
    /// # Errors
    /// Those of [`eva::find`] and [`loftq::find`]; [`PeftError::Unsupported`] for an adapter from a
    /// file that needs its own quantized base.
    pub(super) fn new(
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        lora: &LoraConfig,
        chosen: &Chosen<'_>,
        init: InitSource,
    ) -> Result<Self, PeftError> {
        match (lora.init, init) {
            (Init::Eva, InitSource::Fresh) => eva::find(cx, config, lora, chosen),
            (Init::Loftq, InitSource::Fresh) => loftq::find(cx, config, lora, &chosen.0),
            (Init::Loftq, InitSource::Checkpoint) => Err(config.unsupported(
                "`init_lora_weights` = loftq, which quantizes the base model itself".to_owned(),
            )),
            _ => Ok(Self::default()),
        }
    }

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
