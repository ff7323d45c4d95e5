//! Residual additions with a slot for bottleneck adapters.

use std::fmt;

use crate::{Context, NnError, Norm, Result, SavedActivations, Slot, Tensor};

/// An adapter applied to the output of a sublayer before the residual addition.
pub trait ResidualAdapter: Send + Sync {
    /// The replacement of the sublayer's `output` (B, T, C) that is added to the residual `stream`
    /// (B, T, C). `norm` is the norm after the addition, in families that have one.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match.
    fn forward(
        &self,
        output: &Tensor,
        stream: &Tensor,
        norm: Option<&Norm>,
        cx: &Context,
    ) -> Result<Tensor>;

    /// The activations that it saves for the backward pass; used to estimate memory.
    fn saved_activations(&self) -> SavedActivations {
        SavedActivations::default()
    }
}

/// The sublayer whose output is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sublayer {
    /// Attention with its output projection.
    Attention,
    /// The feed-forward part.
    FeedForward,
}

/// A residual addition `y = norm(stream + output)` with adapters.
///
/// # Shapes
/// `stream, output: (B, T, C)` -> `(B, T, C)`
/// # Source
/// Houlsby et al. 2019, arXiv:1902.00751; the places and paths are those of AdapterHub's `adapters`
pub struct ResidualAdd {
    path: String,
    sublayer: Sublayer,
    block: usize,
    slot: Slot<dyn ResidualAdapter>,
}

impl ResidualAdd {
    /// The residual addition after a sublayer of a block; `path` is the module path of its adapters
    /// in AdapterHub.
    pub fn new(path: String, sublayer: Sublayer, block: usize) -> Self {
        Self { path, sublayer, block, slot: Slot::new() }
    }

    /// Path of its adapters, such as `model.layers.0.output_adapters`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The sublayer whose output is added.
    pub fn sublayer(&self) -> Sublayer {
        self.sublayer
    }

    /// Index of the block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The adapters.
    pub fn slot(&self) -> &Slot<dyn ResidualAdapter> {
        &self.slot
    }

    /// The activations that the active adapters save for the backward pass.
    pub fn saved_activations(&self) -> SavedActivations {
        self.slot.active().iter().map(|adapter| adapter.saved_activations()).sum()
    }

    /// `norm(stream + output)` with the active adapters. The changes of several adapters are added.
    ///
    /// # Errors
    /// Returns an error with the path if the shapes do not match.
    pub fn add(
        &self,
        output: &Tensor,
        stream: &Tensor,
        norm: Option<&Norm>,
        cx: &Context,
    ) -> Result<Tensor> {
        let mut adapted_output = output.clone();
        for adapter in self.slot.active() {
            let adapted = adapter
                .forward(output, stream, norm, cx)
                .map_err(|error| NnError::at_path(error, &self.path))?;
            adapted_output = (adapted_output + (adapted - output)?)?; // (B, T, C)
        }
        let sum = (stream + adapted_output)?;
        norm.map_or(Ok(sum.clone()), |norm| norm.forward(&sum))
    }
}

impl fmt::Debug for ResidualAdd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResidualAdd({}, adapters {:?})", self.path, self.slot.names())
    }
}
