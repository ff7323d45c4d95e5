//! The loss plot of one training run: live while it runs, a static figure at the end.

use std::time::Duration;

use graft_protocol::{Block, RunEnded, RunStarted, StepRecord, ValidationRecord};
use graft_render::Progress;

use super::slot::Slot;
use graft_frontend::{Frontend, Rich};

/// The display of one training run.
pub(crate) struct RunView {
    /// The display slot.
    pub(crate) slot: Slot,
    started: RunStarted,
    steps: Vec<StepRecord>,
    validations: Vec<ValidationRecord>,
}

impl RunView {
    /// The plot of a new run; a resumed run starts with its earlier curve.
    pub(crate) fn new(started: RunStarted) -> Self {
        let mut slot = Slot::new();
        slot.mark_changed();
        Self { slot, started, steps: Vec::new(), validations: Vec::new() }
    }

    /// Adds one step.
    pub(crate) fn step(&mut self, step: StepRecord) {
        self.steps.push(step);
        self.slot.mark_changed();
    }

    /// Adds one validation result.
    pub(crate) fn validation(&mut self, validation: ValidationRecord) {
        self.validations.push(validation);
        self.slot.mark_changed();
    }

    /// Draws the live plot.
    pub(crate) fn redraw(&mut self, frontend: &dyn Frontend, interval: Duration) {
        let chart = graft_render::run_chart(&self.started, &self.steps, &self.validations, None);
        let progress = Progress::of_run(&self.started, &self.steps, &self.validations);
        self.slot.show(&Rich::from_run(&chart, &progress), frontend, interval);
    }

    /// Replaces the live plot by the static figure. Without `ended` (the session crashed), the
    /// figure shows the steps so far.
    pub(crate) fn finish(&mut self, ended: Option<&RunEnded>, frontend: &dyn Frontend) {
        let chart = graft_render::run_chart(&self.started, &self.steps, &self.validations, ended);
        self.slot.show(&Rich::from_block(&Block::Chart(chart)), frontend, Duration::ZERO);
    }
}
