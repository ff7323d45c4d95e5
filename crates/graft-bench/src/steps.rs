//! The steps of one training run of a backend.

use std::time::Instant;

/// The steps of one training run.
pub(crate) struct Steps {
    /// Milliseconds and loss of each step.
    pub(crate) each: Vec<(f64, f64)>,
    /// The end of the first step.
    pub(crate) first: Instant,
}

impl Steps {
    /// Milliseconds and losses of the steps, and the end of the first one.
    pub(crate) fn columns(self) -> (Vec<f64>, Vec<f64>, Instant) {
        let (milliseconds, losses) = self.each.into_iter().unzip();
        (milliseconds, losses, self.first)
    }
}
