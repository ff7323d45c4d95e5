//! The places of a block where a sublayer's output joins the stream: bottleneck adapters act there.

use std::fmt;

use crate::{Context, NnError, Norm, Result, SavedActivations, Slot, Tensor};

/// What stands between a sublayer and the stream.
pub trait ResidualAdapter: Send + Sync {
    /// What takes the place of the sublayer's `output` (B, T, C) before it is added to the `stream` (B, T, C); `norm` follows the sum where
    /// the family has one there.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn forward(
        &self,
        output: &Tensor,
        stream: &Tensor,
        norm: Option<&Norm>,
        cx: &Context,
    ) -> Result<Tensor>;

    /// What a training keeps of it, for the prediction of the memory.
    fn saved_activations(&self) -> SavedActivations {
        SavedActivations::default()
    }
}

/// Which sublayer's output joins the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sublayer {
    /// Attention with its output projection.
    Attention,
    /// The feed-forward part.
    FeedForward,
}

/// `norm(stream + output)`, with adapters.
pub struct ResidualAdd {
    path: String,
    sublayer: Sublayer,
    block: usize,
    slot: Slot<dyn ResidualAdapter>,
}

impl ResidualAdd {
    /// The residual_add behind a sublayer of a block; `path` is where AdapterHub keeps its adapters.
    pub fn new(path: String, sublayer: Sublayer, block: usize) -> Self {
        Self { path, sublayer, block, slot: Slot::new() }
    }

    /// Such as `model.layers.0.output_adapters`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which sublayer is behind it.
    pub fn sublayer(&self) -> Sublayer {
        self.sublayer
    }

    /// Number of its block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// Its adapters.
    pub fn slot(&self) -> &Slot<dyn ResidualAdapter> {
        &self.slot
    }

    /// What a training keeps of the adapters that act.
    pub fn saved_activations(&self) -> SavedActivations {
        self.slot.active().iter().map(|adapter| adapter.saved_activations()).sum()
    }

    /// `norm(stream + output)` with the adapters that act; with several, each adds its own change.
    ///
    /// # Errors
    /// When shapes do not fit; the error names the place.
    pub fn add(
        &self,
        output: &Tensor,
        stream: &Tensor,
        norm: Option<&Norm>,
        cx: &Context,
    ) -> Result<Tensor> {
        let mut joined = output.clone();
        for adapter in self.slot.active() {
            let adapted = adapter
                .forward(output, stream, norm, cx)
                .map_err(|error| NnError::at_path(error, &self.path))?;
            joined = (joined + (adapted - output)?)?; // (B, T, C)
        }
        let sum = (stream + joined)?;
        norm.map_or(Ok(sum.clone()), |norm| norm.forward(&sum))
    }
}

impl fmt::Debug for ResidualAdd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResidualAdd({}, adapters {:?})", self.path, self.slot.names())
    }
}
