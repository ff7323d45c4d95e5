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
}

impl Saved {
    /// No checkpoint yet.
    pub(super) fn new() -> Self {
        Self { at: Instant::now(), step: None }
    }
}

impl TrainingLoop<'_> {
    /// Restores the newest checkpoint. If it is damaged, the one before it is used.
    pub(super) fn restore(&mut self) -> Result<()> {
        let mut error = TrainError::NoCheckpoint { run: self.job.folder.name() };
        for checkpoint in self.job.folder.checkpoints().iter().rev() {
            match checkpoint.restore(self.job.checkpoint, &mut self.optimizer) {
                Ok(progress) => return self.continue_after(&progress),
                Err(problem) => error = problem,
            }
        }
        Err(error)
    }

    fn continue_after(&mut self, progress: &Progress) -> Result<()> {
        let steps = self.job.config.steps;
        if progress.step >= steps {
            return Err(TrainError::AlreadyDone { run: self.job.folder.name(), steps });
        }
        self.counters.step = progress.step;
        self.counters.position = progress.position;
        self.saved.step = Some(progress.step);
        self.counters.best_loss = self.saved_best_loss();
        self.ledger.resumed(progress.step, &self.job.header.train)
    }

    /// Whether `save_every` seconds have passed since the last checkpoint.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        let every = self.job.config.save_every;
        every > 0 && self.saved.at.elapsed() >= Duration::from_secs(every)
    }

    /// Writes a checkpoint, unless this step has one.
    pub(super) fn save(&mut self) -> Result<()> {
        if self.saved.step == Some(self.step()) {
            return Ok(());
        }
        Checkpoint::save(
            self.job.folder.path(),
            &self.progress(),
            self.job.checkpoint,
            &self.optimizer,
        )?;
        self.saved = Saved { at: Instant::now(), step: Some(self.step()) };
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

    /// Saves the weights if their validation loss is the lowest so far. The validation before the
    /// first step does not count: those weights are not trained.
    pub(super) fn save_if_best(&mut self, validation: &ValidationRecord) -> Result<()> {
        let is_best = self.counters.best_loss.is_none_or(|best| validation.loss < best);
        if !self.job.keeps_best || validation.step == 0 || !is_best {
            return Ok(());
        }
        let progress = Progress { validation_loss: Some(validation.loss), ..self.progress() };
        Checkpoint::save_best(self.job.folder.path(), &progress, self.job.checkpoint)?;
        self.counters.best_loss = Some(validation.loss);
        Ok(())
    }

    /// The validation loss of the saved best weights, unless they are of a later step, which the
    /// resumed run repeats.
    fn saved_best_loss(&self) -> Option<f64> {
        let best = Checkpoint::best(self.job.folder.path())?.progress().ok()?;
        best.validation_loss.filter(|_| best.step <= self.step())
    }

    fn progress(&self) -> Progress {
        Progress {
            header: self.job.header.clone(),
            step: self.step(),
            position: self.counters.position,
            optimizer_steps: self.optimizer.steps(),
            steps: self.job.config.steps,
            validation_loss: None,
        }
    }
}
