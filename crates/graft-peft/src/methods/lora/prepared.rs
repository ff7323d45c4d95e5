//! What a start has found out before the layers are made: by looking at data or at the weights before they were packed.

use std::collections::BTreeMap;

use graft_nn::{Embedding, Linear, Tensor};

use super::{Init, LoraConfig, LowRankStart, eva, loftq};
use crate::{AttachContext, PeftError, config_file::ConfigFile, methods::Start};

/// Fields and weights that are known beforehand.
#[derive(Default)]
pub(super) struct Prepared {
    /// The fields, where it changes them.
    pub(super) config: Option<ConfigFile>,
    /// A, and B where it is not zero, by path of the layer.
    pub(super) weights: BTreeMap<String, (Tensor, Option<Tensor>)>,
    /// In words.
    pub(super) note: Option<String>,
}

/// The layers and tables that an adapter is to act in.
pub(super) type Chosen<'a> = (Vec<&'a Linear>, Vec<&'a Embedding>);

impl Prepared {
    /// Looks at what `init_lora_weights` asks for.
    ///
    /// # Errors
    /// Those of [`eva::find`] and [`loftq::find`]; [`PeftError::Unsupported`] for an adapter from a file that stands on another base.
    pub(super) fn new(
        bench: &AttachContext<'_>,
        config: &ConfigFile,
        lora: &LoraConfig,
        chosen: &Chosen<'_>,
        start: Start,
    ) -> Result<Self, PeftError> {
        match (lora.init, start) {
            (Init::Eva, Start::Fresh) => eva::find(bench, config, lora, chosen),
            (Init::Loftq, Start::Fresh) => loftq::find(bench, config, lora, &chosen.0),
            (Init::Loftq, Start::File) => Err(config.unsupported(
                "`init_lora_weights` = loftq, which packs a base of its own".to_owned(),
            )),
            _ => Ok(Self::default()),
        }
    }

    /// Puts the weights of a layer in the place of those that it started with.
    ///
    /// # Errors
    /// [`PeftError::Layer`] when the shapes differ.
    pub(super) fn put(&self, path: &str, start: &LowRankStart) -> Result<(), PeftError> {
        let Some((a, b)) = self.weights.get(path) else { return Ok(()) };
        start.a.set(&a.to_device(start.a.device())?)?;
        if let Some(b) = b {
            start.b.set(&b.to_device(start.b.device())?)?;
        }
        Ok(())
    }
}
