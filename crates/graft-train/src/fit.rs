//! The training loop: read it from top to bottom.
//!
//! It knows nothing of display: it emits [`Event`]s and writes the ledger. What is trained is a list of graft-nn's `Trainable`s, where the
//! batches come from is a [`crate::BatchSource`], what a checkpoint keeps is a [`crate::CheckpointState`].

mod accumulation;
mod checkpointing;
mod run;

use std::time::{Duration, Instant};

use graft_nn::memory::Meter;
use graft_protocol::{Event, RunEnded, RunOutcome, StepRecord, ValidationRecord};

use crate::batch::Batch;
use crate::control::Control;
use crate::device::device_of;
use crate::gradient_norm::{check_finite, global_norm};
use crate::optimizer::Optimizer;
use crate::runs::{Ledger, RunLock};
use crate::{Result, TrainError};

pub(crate) use accumulation::forward_backward;
pub use run::Run;

/// Hears what happens.
type Emit<'e> = &'e mut dyn FnMut(Event);

/// Trains from step 1 to the end.
///
/// # Errors
/// [`TrainError::NotFinite`] (the parameters are those of the last good step), and those of model, data and files.
pub fn begin(run: Run<'_>, control: &Control, emit: Emit<'_>) -> Result<RunEnded> {
    let meter = Meter::start(&device_of(run.model));
    Training { meter, ..Training::begin(run, emit)? }.run_out(control, emit)
}

/// Goes on from the run's newest checkpoint that is whole; the losses are those the uninterrupted run would have had.
///
/// # Errors
/// [`TrainError::NoCheckpoint`], [`TrainError::AlreadyDone`], [`TrainError::Checkpoint`], and those of [`begin`].
pub fn go_on(run: Run<'_>, control: &Control, emit: Emit<'_>) -> Result<RunEnded> {
    let meter = Meter::start(&device_of(run.model));
    Training { meter, ..Training::go_on(run, emit)? }.run_out(control, emit)
}

/// A training between two of its steps: several can advance in turn.
pub struct Training<'a> {
    run: Run<'a>,
    optimizer: Optimizer,
    ledger: Ledger,
    /// Held as long as this lives: nobody else writes into the run's folder.
    _lock: RunLock,
    /// Steps done.
    step: u64,
    /// Micro-batches read.
    position: u64,
    /// Time spent on steps, up to the last time that it was left.
    spent: Duration,
    /// When it was taken up again.
    taken_up: Instant,
    saved: Instant,
    /// Step of the newest checkpoint.
    saved_step: Option<u64>,
    /// Whether the ledger has the validation before the first step.
    began_validated: bool,
    /// The lowest validation loss, whose weights are kept.
    best: Option<f64>,
    first: Option<StepRecord>,
    last: Option<StepRecord>,
    tokens: u64,
    /// Of a training that is alone: those that take turns have one memory, of which none can be told its own.
    meter: Option<Meter>,
}

impl<'a> Training<'a> {
    /// One that is at its beginning.
    ///
    /// # Errors
    /// [`TrainError::NothingToTrain`], [`TrainError::InUse`], and those of files.
    pub fn begin(run: Run<'a>, emit: Emit<'_>) -> Result<Self> {
        let mut training = Self::new(run)?;
        training.ledger.header(&training.run.header)?;
        training.keep_start()?;
        // A run that dies before its first minute is over goes on from here.
        training.save()?;
        training.announce(emit)?;
        Ok(training)
    }

    /// One that stands where its newest checkpoint that is whole was made.
    ///
    /// # Errors
    /// Those of [`go_on`].
    pub fn go_on(run: Run<'a>, emit: Emit<'_>) -> Result<Self> {
        let mut training = Self::new(run)?;
        training.restore()?;
        training.announce(emit)?;
        Ok(training)
    }

    fn new(run: Run<'a>) -> Result<Self> {
        if run.trainables.is_empty() {
            return Err(TrainError::NothingToTrain);
        }
        if let Some(training_hook) = run.state.training_hook() {
            training_hook.begin(run.config.steps)?;
        }
        let lock = run.folder.lock()?;
        let optimizer = Optimizer::new(run.config.optimizer, run.trainables.clone());
        let ledger = run.folder.ledger()?;
        let now = Instant::now();
        let (step, position, tokens, first, last) = (0, 0, 0, None, None);
        let (spent, taken_up, saved, saved_step) = (Duration::ZERO, now, now, None);
        let (began_validated, best, meter) = (false, None, None);
        Ok(Self {
            run,
            optimizer,
            ledger,
            _lock: lock,
            step,
            position,
            spent,
            taken_up,
            saved,
            saved_step,
            began_validated,
            best,
            first,
            last,
            tokens,
            meter,
        })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// At most `steps` more steps, and how it comes to its end, if it does: [`Self::end`] is then to be called.
    ///
    /// # Errors
    /// Those of [`begin`]; the run has then ended as failed.
    pub fn advance(
        &mut self,
        steps: u64,
        control: &Control,
        emit: Emit<'_>,
    ) -> Result<Option<RunOutcome>> {
        self.taken_up = Instant::now();
        let outcome = self.steps(self.step.saturating_add(steps), control, emit);
        self.spent += self.taken_up.elapsed();
        outcome.map_err(|error| self.failed(error, emit))
    }

    /// Keeps what has been reached, and ends the run.
    ///
    /// # Errors
    /// [`TrainError::Io`]; the run has then ended as failed.
    pub fn end(mut self, outcome: RunOutcome, emit: Emit<'_>) -> Result<RunEnded> {
        self.save().map_err(|error| self.failed(error, emit))?;
        self.ended(outcome, emit)
    }

    fn run_out(mut self, control: &Control, emit: Emit<'_>) -> Result<RunEnded> {
        loop {
            if let Some(outcome) = self.advance(u64::MAX, control, emit)? {
                return self.end(outcome, emit);
            }
        }
    }

    fn steps(
        &mut self,
        until: u64,
        control: &Control,
        emit: Emit<'_>,
    ) -> Result<Option<RunOutcome>> {
        if self.step == 0 && !self.began_validated && self.run.config.eval_every > 0 {
            self.began_validated = true;
            self.validate(control, emit)?;
        }
        while self.step < until.min(self.run.config.steps) {
            control.pause();
            self.leave_out_pauses(control);
            if control.is_stopped() {
                return Ok(Some(RunOutcome::Interrupted));
            }
            self.one_step(emit)?;
            if self.is_validation_due() {
                self.validate(control, emit)?;
            }
            if self.run.config.save_every > 0
                && self.saved.elapsed() >= Duration::from_secs(self.run.config.save_every)
            {
                self.save()?;
            }
        }
        Ok((self.step >= self.run.config.steps).then_some(RunOutcome::Finished))
    }

    /// What others did in a pause is neither this training's time nor its memory, and of the memory its own part cannot be told any more.
    fn leave_out_pauses(&mut self, control: &Control) {
        if let Some(paused) = control.take_paused() {
            self.taken_up += paused;
            self.meter = None;
        }
    }

    fn one_step(&mut self, emit: Emit<'_>) -> Result<()> {
        let began = Instant::now();
        let step = self.step + 1;
        let window = self.window()?;
        let (loss, gradients) = self.window_gradients(step, &window)?;
        let grad_norm = global_norm(&self.run.trainables, &gradients, step)?;
        let lr = self.run.config.schedule().rate(step);
        self.optimizer.step(&gradients, lr, self.clip(grad_norm))?;
        // Here, so that no checkpoint and no finished run ever holds such numbers.
        check_finite(&self.run.trainables, step)?;
        if let Some(training_hook) = self.run.state.training_hook() {
            let named =
                self.run.trainables.iter().map(|trainable| trainable.name.as_str()).zip(&gradients);
            training_hook.after_step(step, &named.collect())?;
        }
        self.step = step;
        self.position += window.len() as u64;
        let tokens: u64 = window.iter().map(Batch::tokens).sum();
        self.tokens += tokens;
        let tokens_per_second = tokens as f64 / began.elapsed().as_secs_f64().max(1e-9);
        self.record(
            StepRecord {
                step,
                loss,
                lr,
                grad_norm,
                tokens_per_second,
                elapsed_seconds: self.seconds(),
            },
            emit,
        )
    }

    /// Time spent on it, without the pauses.
    fn seconds(&self) -> f64 {
        (self.spent + self.taken_up.elapsed()).as_secs_f64()
    }

    /// The factor that brings the global norm down to its limit.
    fn clip(&self, norm: f64) -> f64 {
        let limit = self.run.config.max_grad_norm;
        if limit > 0.0 { (limit / (norm + 1e-6)).min(1.0) } else { 1.0 }
    }

    fn is_validation_due(&self) -> bool {
        let every = self.run.config.eval_every;
        every > 0 && (self.step.is_multiple_of(every) || self.step == self.run.config.steps)
    }

    /// Validates, unless the source has nothing to validate on or the user stops it half-way.
    fn validate(&mut self, control: &Control, emit: Emit<'_>) -> Result<()> {
        let Some(validation) = self.run.source.validate(self.run.model, control)? else {
            return Ok(());
        };
        if !validation.loss.is_finite() {
            return Err(TrainError::NotFinite {
                step: self.step,
                tensor: "the validation loss".to_owned(),
                taken_back: false,
            });
        }
        let record = ValidationRecord {
            step: self.step,
            loss: validation.loss,
            accuracy: validation.accuracy,
        };
        self.leave_out_pauses(control);
        self.ledger.validation(&record)?;
        emit(Event::Validation(record));
        self.keep_best(&record)
    }
}
