//! The training loop.
//!
//! One step reads the micro-batches, runs them forward and backward, clips the gradients, updates
//! the parameters and records the result. The loop does not draw anything: it emits [`Event`]s and
//! writes the ledger.

mod accumulation;
mod after_step;
mod checkpointing;
mod counters;
mod metric;
mod recording;
mod setup;
mod step;
mod validation;

use graft_nn::memory::Meter;
use graft_protocol::{Event, RunEnded, RunOutcome};

use crate::Result;
use crate::control::Control;
use crate::device::device_of;
use crate::job::TrainingJob;
use crate::loop_state::LoopState;
use crate::optimizer::Optimizer;
use crate::runs::{Ledger, RunLock};
use checkpointing::Saved;
use counters::{Counters, Stopwatch};
use metric::BestMetric;

pub(crate) use accumulation::forward_backward;

/// Receives the events of a run.
type Emit<'e> = &'e mut dyn FnMut(Event);

/// Trains from step 1 to the end.
///
/// If the run fails before it has recorded anything, its folder is removed.
///
/// # Errors
/// [`NotFinite`](crate::TrainError::NotFinite) when the loss or a gradient is NaN or infinite (the
/// parameters are then those of the last good step); errors of the model, the data and the files.
pub fn fit(job: TrainingJob<'_>, control: &Control, emit: Emit<'_>) -> Result<RunEnded> {
    let folder = job.folder.clone();
    let meter = Meter::start(&device_of(job.model));
    let result = TrainingLoop::start(job, emit)
        .and_then(|training| TrainingLoop { meter, ..training }.run_to_end(control, emit));
    if result.is_err() {
        folder.discard_if_unused();
    }
    result
}

/// Continues a run from its newest readable checkpoint, with the same losses that an uninterrupted
/// run would have had.
///
/// # Errors
/// [`NoCheckpoint`](crate::TrainError::NoCheckpoint),
/// [`AlreadyDone`](crate::TrainError::AlreadyDone), [`Checkpoint`](crate::TrainError::Checkpoint)
/// when the checkpoint does not fit the trained parameters, and the errors of [`fit`].
pub fn resume(job: TrainingJob<'_>, control: &Control, emit: Emit<'_>) -> Result<RunEnded> {
    let meter = Meter::start(&device_of(job.model));
    TrainingLoop { meter, ..TrainingLoop::resume(job, emit)? }.run_to_end(control, emit)
}

/// A run in progress, between two steps; several of them can advance alternately over one
/// model.
pub struct TrainingLoop<'a> {
    job: TrainingJob<'a>,
    optimizer: Optimizer,
    ledger: Ledger,
    /// Held for the lifetime of the loop: no other process writes to the run's folder.
    _lock: RunLock,
    counters: Counters,
    /// What validations and the user's code have changed.
    state: LoopState,
    best_metric: BestMetric,
    /// Why the run ends before its planned end, other than by the stop button.
    stop_reason: Option<String>,
    stopwatch: Stopwatch,
    saved: Saved,
    /// Measures the memory of a run that has the process to itself. Runs that advance
    /// alternately share one memory, so none of them can be measured alone.
    meter: Option<Meter>,
}

impl TrainingLoop<'_> {
    /// Steps done.
    pub fn step(&self) -> u64 {
        self.counters.step
    }

    /// Runs at most `steps` more steps. Returns the outcome when the run has finished or was
    /// stopped; call [`Self::end`] then.
    ///
    /// # Errors
    /// Those of [`fit`]; the run has then ended as failed.
    pub fn advance(
        &mut self,
        steps: u64,
        control: &Control,
        emit: Emit<'_>,
    ) -> Result<Option<RunOutcome>> {
        self.stopwatch.start();
        let outcome = self.run_until(self.step().saturating_add(steps), control, emit);
        self.stopwatch.stop();
        outcome.map_err(|error| self.failed(error, emit))
    }

    /// Saves a checkpoint and ends the run.
    ///
    /// # Errors
    /// [`Io`](crate::TrainError::Io) when the checkpoint cannot be written; the run has then ended
    /// as failed.
    pub fn end(mut self, outcome: RunOutcome, emit: Emit<'_>) -> Result<RunEnded> {
        self.save().map_err(|error| self.failed(error, emit))?;
        self.ended(outcome, emit)
    }

    fn run_to_end(mut self, control: &Control, emit: Emit<'_>) -> Result<RunEnded> {
        loop {
            if let Some(outcome) = self.advance(u64::MAX, control, emit)? {
                return self.end(outcome, emit);
            }
        }
    }

    fn run_until(
        &mut self,
        last: u64,
        control: &Control,
        emit: Emit<'_>,
    ) -> Result<Option<RunOutcome>> {
        self.validate_before_next_step(control, emit)?;
        self.stop_early();
        while self.step() < last.min(self.job.config.steps) && self.stop_reason.is_none() {
            control.pause();
            self.exclude_pauses(control);
            if control.is_stopped() {
                return Ok(Some(RunOutcome::Interrupted));
            }
            self.train_step(emit)?;
            let validation =
                if self.is_validation_due() { self.validate(control, emit)? } else { None };
            self.run_callbacks(validation, emit)?;
            self.stop_early();
            if self.is_checkpoint_due() {
                self.save()?;
            }
        }
        let is_done = self.step() >= self.job.config.steps || self.stop_reason.is_some();
        // A run that was stopped in its last validation may still get other best weights.
        let is_validated = self.stop_reason.is_some() || !self.state.owes_validation;
        Ok(is_done.then_some(if is_validated || !control.is_stopped() {
            RunOutcome::Finished
        } else {
            RunOutcome::Interrupted
        }))
    }

    /// Work done during a pause counts neither as time nor as memory of this run. After it, the
    /// measured memory can no longer be attributed to the run.
    fn exclude_pauses(&mut self, control: &Control) {
        if let Some(paused) = control.take_paused() {
            self.stopwatch.exclude(paused);
            self.meter = None;
        }
    }
}

#[cfg(test)]
mod tests;
