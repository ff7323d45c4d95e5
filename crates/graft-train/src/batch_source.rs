//! The source of the micro-batches of a run.

use graft_nn::Model;

use crate::Result;
use crate::batch::Batch;
use crate::control::Control;
use crate::preference::ReferenceModel;

/// A source of micro-batches without end, usually [`Examples`](crate::Examples).
///
/// A batch depends only on its position, so that a resumed run reads the same batches as an
/// uninterrupted one.
pub trait BatchSource {
    /// Micro-batch number `position`, from 0.
    ///
    /// # Errors
    /// When the data cannot be encoded.
    fn micro_batch(&self, position: u64) -> Result<Batch>;

    /// The model that a preference loss compares with; `None` for other losses.
    fn reference(&self) -> Option<&dyn ReferenceModel> {
        None
    }

    /// Loss and accuracy on held-out examples. `None` when there are no such examples or `control`
    /// stops the validation.
    ///
    /// # Errors
    /// Errors of the model.
    fn validate(&self, model: &dyn Model, control: &Control) -> Result<Option<Validation>>;
}

/// The result of a validation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// Mean loss per label token, in nats.
    pub loss: f64,
    /// Fraction of the examples whose own label has the highest score, or of the pairs whose chosen
    /// answer is the more likely one; `None` for other data.
    pub accuracy: Option<f64>,
}
