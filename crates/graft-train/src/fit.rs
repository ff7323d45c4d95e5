//! The training loop: read it from top to bottom.
//!
//! It knows nothing of display: it emits [`Event`]s and writes the ledger. What is trained is a list of graft-nn's `Trainable`s, where the
//! batches come from is a [`crate::Source`], what a checkpoint keeps is a [`crate::Stateful`].

mod books;
mod run;
mod window;

use std::time::{Duration, Instant};

use graft_protocol::{Event, RunEnded, RunOutcome, StepRecord, ValidationRecord};

use crate::batch::Batch;
use crate::control::Control;
use crate::norm::{check_finite, global_norm};
use crate::optimizer::Optimizer;
use crate::runs::Ledger;
use crate::{Result, TrainError};

pub use run::Run;
pub(crate) use window::MOST_TRAINED;

/// Trains from step 1.
///
/// # Errors
/// [`TrainError::NotFinite`] (the parameters are those of the last good step), and those of model, data and files.
pub fn begin(run: Run<'_>, control: &Control, emit: &mut dyn FnMut(Event)) -> Result<RunEnded> {
    let mut trainer = Trainer::new(run, control, emit)?;
    trainer.ledger.header(&trainer.run.header)?;
    // A run that dies before its first minute is over goes on from here.
    trainer.save()?;
    trainer.finish()
}

/// Goes on from the run's newest checkpoint that is whole; the losses are those the uninterrupted run would have had.
///
/// # Errors
/// [`TrainError::NoCheckpoint`], [`TrainError::AlreadyDone`], [`TrainError::Checkpoint`], and those of [`begin`].
pub fn go_on(run: Run<'_>, control: &Control, emit: &mut dyn FnMut(Event)) -> Result<RunEnded> {
    let mut trainer = Trainer::new(run, control, emit)?;
    trainer.restore()?;
    trainer.finish()
}

struct Trainer<'a> {
    run: Run<'a>,
    optimizer: Optimizer,
    ledger: Ledger,
    control: &'a Control,
    emit: &'a mut dyn FnMut(Event),
    /// Steps done.
    step: u64,
    /// Micro-batches read.
    position: u64,
    began: Instant,
    saved: Instant,
    /// Step of the newest checkpoint.
    saved_step: Option<u64>,
    /// Whether the ledger has the validation before the first step.
    began_validated: bool,
    first: Option<StepRecord>,
    last: Option<StepRecord>,
    tokens: u64,
}

impl<'a> Trainer<'a> {
    fn new(run: Run<'a>, control: &'a Control, emit: &'a mut dyn FnMut(Event)) -> Result<Self> {
        if run.trainables.is_empty() {
            return Err(TrainError::NothingToTrain);
        }
        if let Some(companion) = run.state.companion() {
            companion.begin(run.config.steps)?;
        }
        let optimizer = Optimizer::new(run.config.optimizer, run.trainables.clone());
        let ledger = run.folder.ledger()?;
        let now = Instant::now();
        let (step, position, tokens, first, last) = (0, 0, 0, None, None);
        let (began, saved, saved_step, began_validated) = (now, now, None, false);
        Ok(Self { run, optimizer, ledger, control, emit, step, position, began, saved, saved_step, began_validated, first, last, tokens })
    }

    /// Runs to the end, however it comes, and says how it ended.
    fn finish(mut self) -> Result<RunEnded> {
        self.announce()?;
        let outcome = self.steps().and_then(|outcome| self.save().map(|()| outcome));
        match outcome {
            Ok(outcome) => self.end(outcome),
            Err(mut error) => {
                self.fail(&mut error);
                Err(error)
            }
        }
    }

    fn steps(&mut self) -> Result<RunOutcome> {
        if self.step == 0 && !self.began_validated && self.run.config.eval_every > 0 {
            self.validate()?;
        }
        while self.step < self.run.config.steps {
            if self.control.is_stopped() {
                return Ok(RunOutcome::Interrupted);
            }
            self.one_step()?;
            if self.is_validation_due() {
                self.validate()?;
            }
            if self.run.config.save_every > 0 && self.saved.elapsed() >= Duration::from_secs(self.run.config.save_every) {
                self.save()?;
            }
        }
        Ok(RunOutcome::Finished)
    }

    fn one_step(&mut self) -> Result<()> {
        let began = Instant::now();
        let step = self.step + 1;
        let window = self.window()?;
        let (loss, gradients) = self.window_gradients(step, &window)?;
        let grad_norm = global_norm(&self.run.trainables, &gradients, step)?;
        let lr = self.run.config.schedule().rate(step);
        self.optimizer.step(&gradients, lr, self.clip(grad_norm))?;
        // Here, so that no checkpoint and no finished run ever holds such numbers.
        check_finite(&self.run.trainables, step)?;
        if let Some(companion) = self.run.state.companion() {
            let named = self.run.trainables.iter().map(|trainable| trainable.name.as_str()).zip(&gradients);
            companion.after_step(step, &named.collect())?;
        }
        self.step = step;
        self.position += window.len() as u64;
        let tokens: u64 = window.iter().map(Batch::tokens).sum();
        self.tokens += tokens;
        let seconds = |since: Instant| since.elapsed().as_secs_f64();
        self.record(StepRecord { step, loss, lr, grad_norm, tokens_per_second: tokens as f64 / seconds(began).max(1e-9), elapsed_seconds: seconds(self.began) })
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
    fn validate(&mut self) -> Result<()> {
        let Some(validation) = self.run.source.validate(self.run.model, self.control)? else { return Ok(()) };
        if !validation.loss.is_finite() {
            return Err(TrainError::NotFinite { step: self.step, tensor: "the validation loss".to_owned(), taken_back: false });
        }
        let record = ValidationRecord { step: self.step, loss: validation.loss, accuracy: validation.accuracy };
        self.ledger.validation(&record)?;
        (self.emit)(Event::Validation(record));
        Ok(())
    }
}
