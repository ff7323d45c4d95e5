//! Data for initializations that need more than the model: training batches, and the weights before
//! quantization.

use graft_nn::{Linear, Tensor};

use crate::PeftError;

/// One batch of data.
#[derive(Clone, Debug)]
pub struct InputBatch {
    /// Tokens, (B, T), `u32`.
    pub ids: Tensor,
    /// 1 for a token and 0 for padding, (B, T), `u8`; `None` without padding.
    pub mask: Option<Tensor>,
}

/// The training data, for EVA.
pub trait Inputs {
    /// Batch number `index`, counted from 0. The batches repeat without end.
    ///
    /// # Errors
    /// An error of reading the data, or of an interruption.
    fn batch(&self, index: u64) -> Result<InputBatch, PeftError>;
}

/// The weights of a quantized model before quantization, for LoftQ.
pub trait Originals {
    /// The weight of a layer, (d_out, d_in).
    ///
    /// # Errors
    /// An error of reading the model's files.
    fn weight(&self, linear: &Linear) -> Result<Tensor, PeftError>;
}
