//! What some starts look at beside the model: the data it is to be trained on, and its weights as they were before they were packed.

use graft_nn::{Linear, Tensor};

use crate::PeftError;

/// One batch of data.
#[derive(Clone, Debug)]
pub struct InputBatch {
    /// (B, T) tokens, `u32`.
    pub ids: Tensor,
    /// (B, T), `u8`, 1 for a token; none when nothing is padded.
    pub mask: Option<Tensor>,
}

/// The data that an adapter is to be trained on, for EVA.
pub trait Inputs {
    /// Batch number `index`, from 0; there is no last one.
    ///
    /// # Errors
    /// What reading them gives, or that the reader was stopped.
    fn batch(&self, index: u64) -> Result<InputBatch, PeftError>;
}

/// The weights of a packed model as they were before, for LoftQ.
pub trait Originals {
    /// The weight (d_out, d_in) of a layer.
    ///
    /// # Errors
    /// What reading its file gives.
    fn weight(&self, linear: &Linear) -> Result<Tensor, PeftError>;
}
