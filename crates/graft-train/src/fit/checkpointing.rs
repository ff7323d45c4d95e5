//! The books of a run: what is announced, recorded, saved, restored and summed up.

use std::time::Instant;

use graft_nn::memory::Meter;
use graft_protocol::{
    Event, MemoryUse, RunEnded, RunOutcome, RunStarted, StepRecord, ValidationRecord,
};
use graft_spec::number::decimals;

use super::{Emit, Training};
use crate::runs::{Checkpoint, Progress};
use crate::{Result, TrainError};

/// Most earlier steps that a resumed run announces: a curve shows no more, and what is announced must fit into one message.
const ANNOUNCED: usize = 10_000;

impl Training<'_> {
    /// Says that the run begins or goes on, with what its ledger holds already.
    pub(super) fn announce(&mut self, emit: Emit<'_>) -> Result<()> {
        let mut record = self.run.folder.record()?;
        record.cut(self.step);
        self.began_validated = record.validations.iter().any(|validation| validation.step == 0);
        let header = &self.run.header;
        emit(Event::RunStarted(RunStarted {
            run: header.run.clone(),
            title: header.title.clone(),
            first_step: self.step,
            steps: self.run.config.steps,
            trainable: header.trainable,
            total: header.total,
            earlier: record.thinned(ANNOUNCED),
            earlier_validations: record.validations,
        }));
        Ok(())
    }

    /// Takes up the newest checkpoint; a damaged one gives way to the one before.
    pub(super) fn restore(&mut self) -> Result<()> {
        let mut error = TrainError::NoCheckpoint { run: self.run.folder.name() };
        for checkpoint in self.run.folder.checkpoints().iter().rev() {
            match checkpoint.restore(self.run.state, &mut self.optimizer) {
                Ok(progress) if progress.step >= self.run.config.steps => {
                    return Err(TrainError::AlreadyDone {
                        run: self.run.folder.name(),
                        steps: self.run.config.steps,
                    });
                }
                Ok(progress) => {
                    (self.step, self.position, self.saved_step) =
                        (progress.step, progress.position, Some(progress.step));
                    self.best = self.kept_best();
                    return self.ledger.resumed(progress.step, &self.run.header.train);
                }
                Err(problem) => error = problem,
            }
        }
        Err(error)
    }

    pub(super) fn record(&mut self, record: StepRecord, emit: Emit<'_>) -> Result<()> {
        self.first.get_or_insert(record);
        self.last = Some(record);
        self.ledger.step(&record)?;
        emit(Event::Step(record));
        Ok(())
    }

    /// Writes a checkpoint, unless this step has one.
    pub(super) fn save(&mut self) -> Result<()> {
        if self.saved_step == Some(self.step) {
            return Ok(());
        }
        Checkpoint::save(
            self.run.folder.path(),
            &self.progress(),
            self.run.state,
            &self.optimizer,
        )?;
        (self.saved, self.saved_step) = (Instant::now(), Some(self.step));
        Ok(())
    }

    /// Keeps the weights that a run starts from, unless a seed gives them again.
    pub(super) fn keep_start(&self) -> Result<()> {
        match &self.run.header.start {
            Some(start) if !start.is_fresh() => {
                Checkpoint::save_start(self.run.folder.path(), &self.progress(), self.run.state)
            }
            _ => Ok(()),
        }
    }

    /// Keeps the weights of a validation loss that is lower than all before. What was measured before the first step is not the run's work.
    pub(super) fn keep_best(&mut self, found: &ValidationRecord) -> Result<()> {
        if !self.run.keeps_best
            || found.step == 0
            || self.best.is_some_and(|best| found.loss >= best)
        {
            return Ok(());
        }
        let progress = Progress { validation_loss: Some(found.loss), ..self.progress() };
        Checkpoint::save_best(self.run.folder.path(), &progress, self.run.state)?;
        self.best = Some(found.loss);
        Ok(())
    }

    /// The validation loss of the weights that were kept, unless they are of a step that is void now.
    fn kept_best(&self) -> Option<f64> {
        let best = Checkpoint::best(self.run.folder.path())?.progress().ok()?;
        best.validation_loss.filter(|_| best.step <= self.step)
    }

    fn progress(&self) -> Progress {
        Progress {
            header: self.run.header.clone(),
            step: self.step,
            position: self.position,
            optimizer_steps: self.optimizer.steps(),
            steps: self.run.config.steps,
            validation_loss: None,
        }
    }

    pub(super) fn ended(mut self, outcome: RunOutcome, emit: Emit<'_>) -> Result<RunEnded> {
        let memory = self.memory();
        let ended = RunEnded {
            run: self.run.folder.name(),
            summary: self.summary(&outcome, memory),
            outcome,
            step: self.step,
            memory: Some(memory),
        };
        self.ledger.ended(&ended)?;
        emit(Event::RunEnded(ended.clone()));
        Ok(ended)
    }

    /// Ends a run that cannot go on. Where the numbers went out of bounds, the parameters go back to the step whose loss was still good.
    /// Whatever else stops it (but for a disk that does not take it), the steps since the last checkpoint are kept.
    pub(super) fn failed(&mut self, mut error: TrainError, emit: Emit<'_>) -> TrainError {
        // The error that stopped the run matters more than one of taking it back or of saving.
        match &mut error {
            TrainError::NotFinite { taken_back, .. } => {
                *taken_back = self.optimizer.undo().unwrap_or(false)
            }
            TrainError::Io { .. } | TrainError::Tensors { .. } => {}
            // An update that was cut short is no step to go on from.
            _ if self.optimizer.steps() == self.step => drop(self.save()),
            _ => {}
        }
        let summary = format!("{error}; {}", self.place());
        let memory = (self.step > 0).then(|| self.memory());
        let ended = RunEnded {
            run: self.run.folder.name(),
            outcome: RunOutcome::Failed,
            step: self.step,
            memory,
            summary,
        };
        // The disk may be the very reason of the failure.
        let _ = self.ledger.ended(&ended);
        emit(Event::RunEnded(ended));
        error
    }

    /// What it has taken up to now.
    fn memory(&self) -> MemoryUse {
        MemoryUse {
            predicted: self.run.predicted,
            taken: self.meter.as_ref().and_then(Meter::most),
        }
    }

    fn summary(&self, outcome: &RunOutcome, memory: MemoryUse) -> String {
        let seconds = self.spent.as_secs_f64();
        let losses = match (self.first, self.last) {
            (Some(first), Some(last)) => {
                format!("loss {} -> {}, ", decimals(first.loss, 3), decimals(last.loss, 3))
            }
            _ => String::new(),
        };
        let speed = self.tokens as f64 / seconds.max(1e-9);
        let taken = memory
            .taken
            .map(|bytes| format!(", {} MB beside the model", bytes.div_ceil(1_000_000)))
            .unwrap_or_default();
        let (place, run) = (self.place(), self.run.folder.name());
        match outcome {
            RunOutcome::Interrupted => {
                format!(
                    "stopped at step {} of {}: {losses}{seconds:.1} s, {speed:.0} tokens/s{taken}; {place}; %resume {run} goes on",
                    self.step, self.run.config.steps
                )
            }
            _ => format!(
                "{} steps: {losses}{seconds:.1} s, {speed:.0} tokens/s{taken}; {place}",
                self.step
            ),
        }
    }

    fn place(&self) -> String {
        let path = self.run.folder.path();
        // Beside the notebook the short form says enough, and a stored figure does not tell where it was made.
        let here = std::env::current_dir().ok();
        let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
        format!("kept in {}", short.display())
    }
}
