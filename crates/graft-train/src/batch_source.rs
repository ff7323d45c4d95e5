//! Where micro-batches come from.

use graft_nn::Model;

use crate::Result;
use crate::batch::Batch;
use crate::control::Control;

/// An endless series of micro-batches. The position alone decides what comes, so that a resumed run reads on where it stopped.
pub trait BatchSource {
    /// Micro-batch number `position`, from 0.
    ///
    /// # Errors
    /// When the data cannot be encoded.
    fn micro_batch(&self, position: u64) -> Result<Batch>;

    /// Loss (and accuracy) on held-out examples; none where there are none or `control` stops it.
    ///
    /// # Errors
    /// Those of the model.
    fn validate(&self, model: &dyn Model, control: &Control) -> Result<Option<Validation>>;
}

/// What a validation finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// Mean loss per label token, nats.
    pub loss: f64,
    /// Share of examples whose label scored highest.
    pub accuracy: Option<f64>,
}
