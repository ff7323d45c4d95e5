//! Validation during a run.

use graft_protocol::{Event, ValidationRecord};

use super::{Emit, TrainingLoop};
use crate::control::Control;
use crate::{Result, TrainError};

impl TrainingLoop<'_> {
    /// Validates before step 1, unless validation is off or the ledger has that validation.
    pub(super) fn validate_before_first_step(
        &mut self,
        control: &Control,
        emit: Emit<'_>,
    ) -> Result<()> {
        if self.step() > 0
            || self.counters.has_initial_validation
            || self.job.config.eval_every == 0
        {
            return Ok(());
        }
        self.counters.has_initial_validation = true;
        self.validate(control, emit)
    }

    pub(super) fn is_validation_due(&self) -> bool {
        let every = self.job.config.eval_every;
        every > 0 && (self.step().is_multiple_of(every) || self.step() == self.job.config.steps)
    }

    /// Validates and records the result. Does nothing without validation data, or when the user
    /// stops the validation.
    pub(super) fn validate(&mut self, control: &Control, emit: Emit<'_>) -> Result<()> {
        let Some(validation) = self.job.batches.validate(self.job.model, control)? else {
            return Ok(());
        };
        let step = self.step();
        if !validation.loss.is_finite() {
            return Err(TrainError::NotFinite {
                step,
                tensor: "the validation loss".to_owned(),
                taken_back: false,
            });
        }
        let record =
            ValidationRecord { step, loss: validation.loss, accuracy: validation.accuracy };
        self.exclude_pauses(control);
        self.ledger.validation(&record)?;
        emit(Event::Validation(record));
        self.save_if_best(&record)
    }
}
