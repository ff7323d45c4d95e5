//! The start, the steps and the end of a run, as ledger lines and events.

use graft_nn::memory::Meter;
use graft_protocol::{Event, MemoryUse, RunEnded, RunOutcome, RunStarted, StepRecord};
use graft_spec::number::decimals;

use super::{Emit, TrainingLoop};
use crate::{Result, TrainError};

/// Most earlier steps in the start event of a resumed run: a curve cannot show more, and the event
/// must fit into one message.
const MAX_EARLIER_STEPS: usize = 10_000;

impl TrainingLoop<'_> {
    /// Emits the start of the run, with the earlier steps from its ledger.
    pub(super) fn announce(&mut self, emit: Emit<'_>) -> Result<()> {
        let mut record = self.job.folder.record()?;
        record.cut(self.step());
        self.counters.has_initial_validation =
            record.validations.iter().any(|validation| validation.step == 0);
        let header = &self.job.header;
        emit(Event::RunStarted(RunStarted {
            run: header.run.clone(),
            title: header.title.clone(),
            first_step: self.step(),
            steps: self.job.config.steps,
            trainable: header.trainable,
            total: header.total,
            earlier: record.thinned(MAX_EARLIER_STEPS),
            earlier_validations: record.validations,
            best: self.job.config.best.clone(),
        }));
        Ok(())
    }

    pub(super) fn record(&mut self, record: StepRecord, emit: Emit<'_>) -> Result<()> {
        self.counters.first.get_or_insert(record);
        self.counters.last = Some(record);
        self.ledger.step(&record)?;
        emit(Event::Step(record));
        Ok(())
    }

    pub(super) fn ended(mut self, outcome: RunOutcome, emit: Emit<'_>) -> Result<RunEnded> {
        let memory = self.memory();
        let ended = RunEnded {
            run: self.job.folder.name(),
            summary: self.summary(&outcome, memory),
            outcome,
            step: self.step(),
            memory: Some(memory),
        };
        self.ledger.ended(&ended)?;
        emit(Event::RunEnded(ended.clone()));
        Ok(ended)
    }

    /// Ends the run as failed. After NaN or infinity the last update is undone; after other errors,
    /// except those of the disk, the steps since the last checkpoint are saved.
    pub(super) fn failed(&mut self, mut error: TrainError, emit: Emit<'_>) -> TrainError {
        // If undoing or saving fails too, the first error is reported.
        match &mut error {
            TrainError::NotFinite { taken_back, .. } => {
                *taken_back = self.optimizer.undo().unwrap_or(false)
            }
            TrainError::Io { .. } | TrainError::Tensors { .. } => {}
            // Only complete updates are saved.
            _ if self.optimizer.steps() == self.step() => drop(self.save()),
            _ => {}
        }
        let ended = RunEnded {
            run: self.job.folder.name(),
            outcome: RunOutcome::Failed,
            step: self.step(),
            memory: (self.step() > 0).then(|| self.memory()),
            summary: format!("{error}; {}", self.location()),
        };
        // A full disk may be the cause of the failure, so an error here is ignored.
        let _ = self.ledger.ended(&ended);
        emit(Event::RunEnded(ended));
        error
    }

    /// Predicted memory, and the peak so far.
    fn memory(&self) -> MemoryUse {
        MemoryUse {
            predicted: self.job.predicted_memory,
            taken: self.meter.as_ref().and_then(Meter::most),
        }
    }

    fn summary(&self, outcome: &RunOutcome, memory: MemoryUse) -> String {
        let measured = self.measured(memory);
        let location = self.location();
        let step = self.step();
        match outcome {
            RunOutcome::Interrupted => format!(
                "stopped at step {step} of {}: {measured}; {location}; resume with %resume {}",
                self.job.config.steps,
                self.job.folder.name()
            ),
            _ => match &self.stop_reason {
                Some(reason) => format!(
                    "ended at step {step} of {}, {reason}: {measured}; {location}",
                    self.job.config.steps
                ),
                None => format!("{step} steps: {measured}; {location}"),
            },
        }
    }

    /// Losses, time, speed and memory.
    fn measured(&self, memory: MemoryUse) -> String {
        let losses = match (self.counters.first, self.counters.last) {
            (Some(first), Some(last)) => {
                format!("loss {} -> {}, ", decimals(first.loss, 3), decimals(last.loss, 3))
            }
            _ => String::new(),
        };
        let seconds = self.stopwatch.stopped_seconds();
        let speed = self.counters.tokens as f64 / seconds.max(1e-9);
        let peak = memory
            .taken
            .map(|bytes| format!(", peak memory {} MB above the model", bytes.div_ceil(1_000_000)))
            .unwrap_or_default();
        format!("{losses}{seconds:.1} s, {speed:.0} tokens/s{peak}")
    }

    /// The folder of the run, relative to the working directory if it is inside: short, and a
    /// stored figure does not reveal the machine's paths.
    fn location(&self) -> String {
        let path = self.job.folder.path();
        let here = std::env::current_dir().ok();
        let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
        format!("saved to {}", short.display())
    }
}
