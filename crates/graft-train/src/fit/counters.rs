//! The counters and the clock of a run in progress.

use std::time::{Duration, Instant};

use graft_protocol::StepRecord;

/// The progress of a run.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Optimizer steps done, over all processes of the run.
    pub(super) step: u64,
    /// Micro-batches read, over all processes of the run.
    pub(super) position: u64,
    /// Tokens read by this process, without padding.
    pub(super) tokens: u64,
    /// The first step of this process.
    pub(super) first: Option<StepRecord>,
    /// The newest step.
    pub(super) last: Option<StepRecord>,
    /// Whether the ledger has a validation before the first step.
    pub(super) has_initial_validation: bool,
    /// The best value of the metric so far, whose weights are saved.
    pub(super) best_value: Option<f64>,
}

impl Counters {
    /// Counts a step with that many micro-batches and tokens.
    pub(super) fn step_done(&mut self, step: u64, micro_batches: usize, tokens: u64) {
        self.step = step;
        self.position += micro_batches as u64;
        self.tokens += tokens;
    }
}

/// Measures the time that a run spends on its steps, without the pauses between them.
#[derive(Debug)]
pub(super) struct Stopwatch {
    /// Time up to the last stop.
    spent: Duration,
    started: Instant,
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self { spent: Duration::ZERO, started: Instant::now() }
    }

    pub(super) fn start(&mut self) {
        self.started = Instant::now();
    }

    pub(super) fn stop(&mut self) {
        self.spent += self.started.elapsed();
    }

    /// Excludes time that passed since the start and was not spent on the run.
    pub(super) fn exclude(&mut self, pause: Duration) {
        self.started += pause;
    }

    /// Seconds up to now, while it is running.
    pub(super) fn seconds(&self) -> f64 {
        (self.spent + self.started.elapsed()).as_secs_f64()
    }

    /// Seconds up to the last stop.
    pub(super) fn stopped_seconds(&self) -> f64 {
        self.spent.as_secs_f64()
    }
}
