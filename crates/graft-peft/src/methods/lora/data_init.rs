//! What a start has found out before the layers are made: by looking at data or at the weights before they were packed.

use std::collections::BTreeMap;

use graft_nn::{Embedding, Linear, Tensor};

use super::{Init, LoraConfig, LowRankInit, eva, loftq};
use crate::{AttachContext, PeftError, config_file::ConfigFile, init_source::InitSource};

/// Fields and weights that are known beforehand.
#[derive(Default)]
pub(super) struct DataInit {
    /// The fields, where it changes them.
    pub(super) config: Option<ConfigFile>,
    /// A, and B where it is not zero, by path of the layer.
    pub(super) weights: BTreeMap<String, (Tensor, Option<Tensor>)>,
    /// In words.
    pub(super) note: Option<String>,
}

/// The layers and tables that an adapter is to act in.
pub(super) type Chosen<'a> = (Vec<&'a Linear>, Vec<&'a Embedding>);

impl DataInit {
    /// Looks at what `init_lora_weights` asks for.
    ///
    /// # Errors
    /// Those of [`eva::find`] and [`loftq::find`]; [`PeftError::Unsupported`] for an adapter from a file that stands on another base.
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
                "`init_lora_weights` = loftq, which packs a base of its own".to_owned(),
            )),
            _ => Ok(Self::default()),
        }
    }

    /// Puts the weights of a layer in the place of those that it started with.
    ///
    /// # Errors
    /// [`PeftError::Layer`] when the shapes differ.
    pub(super) fn put(&self, path: &str, initialized: &LowRankInit) -> Result<(), PeftError> {
        let Some((a, b)) = self.weights.get(path) else { return Ok(()) };
        initialized.a.set(&a.to_device(initialized.a.device())?)?;
        if let Some(b) = b {
            initialized.b.set(&b.to_device(initialized.b.device())?)?;
        }
        Ok(())
    }
}
