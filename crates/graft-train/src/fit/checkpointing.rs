//! The checkpoints of a run: when they are saved, and how a run is restored from one.

use std::time::{Duration, Instant};

use graft_protocol::ValidationRecord;

use super::TrainingLoop;
use crate::runs::{Checkpoint, Progress, Start};
use crate::{Result, TrainError};

/// The newest checkpoint of a run.
#[derive(Debug)]
pub(super) struct Saved {
    at: Instant,
    step: Option<u64>,
    /// Whether it repeats the validation after its step.
    owes_validation: bool,
}

impl Saved {
    /// No checkpoint yet.
    pub(super) fn new() -> Self {
        Self { at: Instant::now(), step: None, owes_validation: false }
    }
}

impl TrainingLoop<'_> {
    /// Restores the newest checkpoint. If it is damaged, the one before it is used. A run that has
    /// nothing left to do is refused before a weight changes.
    pub(super) fn restore(&mut self) -> Result<()> {
        let mut error = TrainError::NoCheckpoint { run: self.job.folder.name() };
        for checkpoint in self.job.folder.checkpoints().iter().rev() {
            if let Ok(progress) = checkpoint.progress() {
                progress.check_unfinished(&self.job.config)?;
            }
            match checkpoint.restore(self.job.checkpoint, &mut self.optimizer) {
                Ok(progress) => return self.continue_after(&progress),
                Err(problem) => error = problem,
            }
        }
        Err(error)
    }

    fn continue_after(&mut self, progress: &Progress) -> Result<()> {
        self.counters.step = progress.step;
        self.counters.position = progress.position;
        self.saved.step = Some(progress.step);
        self.saved.owes_validation = progress.state.owes_validation;
        self.counters.best_value = self.saved_best_value();
        self.state = progress.state.clone().restored(&self.job.config);
        self.ledger.resumed(progress.step, &self.job.header.train)
    }

    /// Whether `save_every` seconds have passed since the last checkpoint.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        let every = self.job.config.save_every;
        every > 0 && self.saved.at.elapsed() >= Duration::from_secs(every)
    }

    /// Writes a checkpoint, unless this step has one. One that was written before the validation of
    /// its step is replaced: a resumed run would repeat the validation.
    pub(super) fn save(&mut self) -> Result<()> {
        let owes_validation = self.state.owes_validation;
        if self.saved.step == Some(self.step()) && self.saved.owes_validation == owes_validation {
            return Ok(());
        }
        Checkpoint::save(
            self.job.folder.path(),
            &self.progress(),
            self.job.checkpoint,
            &self.optimizer,
        )?;
        self.saved = Saved { at: Instant::now(), step: Some(self.step()), owes_validation };
        Ok(())
    }

    /// Saves the weights that the run starts from, unless a seed reproduces them and they are not
    /// the reference of a preference loss.
    pub(super) fn save_initial_weights(&self) -> Result<()> {
        let is_reference =
            self.job.batches.reference().is_some_and(|reference| reference.copies() > 0);
        let is_fresh = self.job.header.start.as_ref().is_none_or(Start::is_fresh);
        if is_fresh && !is_reference {
            return Ok(());
        }
        Checkpoint::save_start(self.job.folder.path(), &self.progress(), self.job.checkpoint)
    }

    /// Saves the weights if the metric of their validation is the best so far.
    pub(super) fn save_if_best(&mut self, validation: &ValidationRecord, value: f64) -> Result<()> {
        let direction = self.best_metric.direction();
        let is_best = self.counters.best_value.is_none_or(|best| direction.is_better(value, best));
        if !self.job.keeps_best || !is_best {
            return Ok(());
        }
        let progress = Progress {
            validation_loss: Some(validation.loss),
            best_value: Some(value.into()),
            ..self.progress()
        };
        Checkpoint::save_best(self.job.folder.path(), &progress, self.job.checkpoint)?;
        self.counters.best_value = Some(value);
        Ok(())
    }

    /// The metric of the saved best weights, unless they are of a later step, which the resumed run
    /// repeats, or were chosen by another metric.
    fn saved_best_value(&self) -> Option<f64> {
        let best = Checkpoint::best(self.job.folder.path())?.progress().ok()?;
        // Older versions recorded the loss only, which was the only metric.
        let (metric, value) = match best.best_value {
            Some(value) => (best.state.metric.as_str(), Some(value.value())),
            None => ("loss", best.validation_loss),
        };
        value.filter(|_| best.step <= self.step() && metric == self.job.config.best)
    }

    fn progress(&self) -> Progress {
        Progress {
            header: self.job.header.clone(),
            step: self.step(),
            position: self.counters.position,
            optimizer_steps: self.optimizer.steps(),
            steps: self.job.config.steps,
            validation_loss: None,
            best_value: None,
            optimizer: self.optimizer.config().kind,
            state: self.state.clone(),
        }
    }
}
