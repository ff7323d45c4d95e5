//! Validation during a run.

use graft_protocol::{Event, Level, ValidationRecord};

use super::metric::BestMetric;
use super::{Emit, TrainingLoop};
use crate::control::Control;
use crate::{Result, TrainError};

impl TrainingLoop<'_> {
    /// Validates before step 1, unless validation is off or the ledger has that validation; and
    /// repeats a validation that was stopped before its end, because later steps may depend on it.
    pub(super) fn validate_before_next_step(
        &mut self,
        control: &Control,
        emit: Emit<'_>,
    ) -> Result<()> {
        if self.state.owes_validation {
            return self.validate(control, emit).map(drop);
        }
        if self.step() > 0
            || self.counters.has_initial_validation
            || self.job.config.eval_every == 0
        {
            return Ok(());
        }
        self.counters.has_initial_validation = true;
        self.validate(control, emit).map(drop)
    }

    pub(super) fn is_validation_due(&self) -> bool {
        let every = self.job.config.eval_every;
        every > 0 && (self.step().is_multiple_of(every) || self.step() == self.job.config.steps)
    }

    /// Validates and records the result. `None` without validation data, or when the user stops the
    /// validation, which a resumed run repeats.
    pub(super) fn validate(
        &mut self,
        control: &Control,
        emit: Emit<'_>,
    ) -> Result<Option<ValidationRecord>> {
        let step = self.step();
        self.state.owes_validation = step > 0 && self.job.batches.has_validation();
        let Some(record) = self.measure(step, control)? else { return Ok(None) };
        self.exclude_pauses(control);
        self.ledger.validation(&record)?;
        emit(Event::Validation(record));
        self.state.owes_validation = false;
        // The weights before the first step are not trained, so they count neither as the best ones
        // nor as an improvement.
        if let Some(value) = self.best_metric.value(&record).filter(|_| step > 0) {
            let direction = self.best_metric.direction();
            if let Some(lr) = self.state.after_validation(&self.job.config, value, direction) {
                let text = format!("learning rate reduced to {lr:e} after step {step}");
                emit(Event::Note { level: Level::Info, text });
            }
            self.save_if_best(&record, value)?;
        }
        Ok(Some(record))
    }

    fn measure(&self, step: u64, control: &Control) -> Result<Option<ValidationRecord>> {
        let job = &self.job;
        let Some(validation) = job.batches.validate(job.model, control)? else { return Ok(None) };
        if !validation.loss.is_finite() {
            return Err(TrainError::NotFinite {
                step,
                tensor: "the validation loss".to_owned(),
                taken_back: false,
            });
        }
        let metric = match self.best_metric {
            BestMetric::Other(index, _) => {
                let Some(value) = job.metrics[index].measure(job.model, control)? else {
                    return Ok(None);
                };
                Some(value)
            }
            _ => None,
        };
        let (loss, accuracy) = (validation.loss, validation.accuracy);
        Ok(Some(ValidationRecord { step, loss, accuracy, metric }))
    }
}
