//! How a running job is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that the trainer reads before every step and every forward pass of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
}

impl Control {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a flag that somebody else sets.
    pub fn from_flag(stop: Arc<AtomicBool>) -> Self {
        Self { stop }
    }

    /// Asks the job to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the job should stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
