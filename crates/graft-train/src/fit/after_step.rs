//! What happens between two steps: the user's code and early stopping.

use graft_protocol::{Event, Level, ValidationRecord};

use super::{Emit, TrainingLoop};
use crate::callbacks::StepEvent;
use crate::{Result, TrainError};

impl TrainingLoop<'_> {
    /// Calls the user's code for the step that has finished.
    pub(super) fn run_callbacks(
        &mut self,
        validation: Option<ValidationRecord>,
        emit: Emit<'_>,
    ) -> Result<()> {
        let (Some(callbacks), Some(step)) = (self.job.callbacks, self.counters.last) else {
            return Ok(());
        };
        let mut event = StepEvent::new(step, self.job.config.steps, validation);
        let result = callbacks.after_step(&mut event);
        for text in event.take_lines() {
            emit(Event::Note { level: Level::Info, text });
        }
        let failed = |problem| TrainError::Callback { what: "`on_step`", problem };
        result.map_err(failed)?;
        if let Some(lr) = event.new_lr() {
            if !lr.is_finite() || lr < 0.0 {
                return Err(failed(format!("`set_lr` needs a number of at least 0, got {lr}")));
            }
            self.state.fixed_lr = Some(lr.into());
        }
        if event.is_stopped() {
            self.stop_reason = Some("`on_step` stopped it".to_owned());
        }
        Ok(())
    }

    /// Ends the run if its validations do not improve any more.
    pub(super) fn stop_early(&mut self) {
        let config = &self.job.config;
        if self.step() < config.steps && self.state.stops(config) {
            let count = config.early_stopping;
            self.stop_reason = Some(format!(
                "no better {} in {count} {}",
                if config.best == "loss" { "validation loss" } else { &config.best },
                if count == 1 { "validation" } else { "validations" }
            ));
        }
    }
}
