//! The losses and the speed of one run, collected from its events.

use graft_protocol::{Event, StepRecord};
use graft_train::runs::RunRecord;

/// Smoothing of the loss curves.
const SMOOTHING: f64 = 0.8;

/// The events of one run so far.
#[derive(Clone, Debug, Default)]
pub(super) struct TrialLog {
    /// Smoothed training loss by step.
    pub(super) curve: Vec<(u64, f64)>,
    /// Loss on the base's own domain by step.
    pub(super) domain: Vec<(u64, f64)>,
    /// Training time, including that of earlier parts of a resumed run.
    pub(super) seconds: f64,
    /// Training time of the earlier parts.
    seconds_before: f64,
    /// Sum over the steps of the time per token.
    seconds_per_token: f64,
}

impl TrialLog {
    /// Records an event.
    pub(super) fn record(&mut self, event: Event) {
        match event {
            Event::RunStarted(started) => {
                let (steps, validations) = (started.earlier, started.earlier_validations);
                self.restore(&RunRecord { steps, validations, ..RunRecord::default() });
            }
            Event::Step(step) => self.step(&step),
            Event::Validation(found) => self.domain.push((found.step, found.loss)),
            _ => {}
        }
    }

    /// Adds the earlier part of a resumed run.
    pub(super) fn restore(&mut self, record: &RunRecord) {
        record.steps.iter().for_each(|step| self.step(step));
        self.domain.extend(record.validations.iter().map(|found| (found.step, found.loss)));
        self.seconds_before = self.seconds;
    }

    fn step(&mut self, step: &StepRecord) {
        let smooth = self
            .loss()
            .map_or(step.loss, |smooth| SMOOTHING * smooth + (1.0 - SMOOTHING) * step.loss);
        self.curve.push((step.step, smooth));
        self.seconds = self.seconds_before + step.elapsed_seconds;
        self.seconds_per_token += 1.0 / step.tokens_per_second;
    }

    /// Number of steps done.
    pub(super) fn steps(&self) -> u64 {
        self.curve.last().map_or(0, |last| last.0)
    }

    /// The smoothed training loss.
    pub(super) fn loss(&self) -> Option<f64> {
        self.curve.last().map(|last| last.1)
    }

    /// Mean number of tokens per second.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.curve.len() as f64 / self.seconds_per_token
    }

    /// Whether the smoothed curve ends above its start.
    pub(super) fn has_risen(&self) -> bool {
        let ends = self.curve.first().zip(self.curve.last());
        ends.is_some_and(|((_, first), (_, last))| last.is_nan() || last > first)
    }
}
