//! The loss plot of a training: live while it runs, a static figure when it is over.

use std::time::Duration;

use graft_protocol::{Block, RunEnded, RunStarted, StepRecord, ValidationRecord};
use graft_render::Progress;

use super::slot::Slot;
use graft_frontend::{Frontend, Rich};

/// One training as the page shows it.
pub(crate) struct RunView {
    /// Its place.
    pub(crate) slot: Slot,
    started: RunStarted,
    steps: Vec<StepRecord>,
    validations: Vec<ValidationRecord>,
}

impl RunView {
    /// A training that begins; a resumed one has its earlier curve already.
    pub(crate) fn new(started: RunStarted) -> Self {
        let mut slot = Slot::new();
        slot.change();
        Self { slot, started, steps: Vec::new(), validations: Vec::new() }
    }

    /// Adds a step.
    pub(crate) fn step(&mut self, step: StepRecord) {
        self.steps.push(step);
        self.slot.change();
    }

    /// Adds a validation.
    pub(crate) fn validation(&mut self, validation: ValidationRecord) {
        self.validations.push(validation);
        self.slot.change();
    }

    /// Draws the live plot.
    pub(crate) fn draw(&mut self, frontend: &dyn Frontend, interval: Duration) {
        let chart = graft_render::run_chart(&self.started, &self.steps, &self.validations, None);
        let progress = Progress::of_run(&self.started, &self.steps, &self.validations);
        self.slot.show(&Rich::from_run(&chart, &progress), frontend, interval);
    }

    /// Draws the static figure in its place; without an end (the session died) the figure shows how far it came.
    pub(crate) fn finish(&mut self, ended: Option<&RunEnded>, frontend: &dyn Frontend) {
        let chart = graft_render::run_chart(&self.started, &self.steps, &self.validations, ended);
        self.slot.show(&Rich::from_block(&Block::Chart(chart)), frontend, Duration::ZERO);
    }
}
