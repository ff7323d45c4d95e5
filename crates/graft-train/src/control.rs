//! How a running job is asked to stop, and where it pauses.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A flag that the trainer reads before every step and every forward pass of an evaluation, and what it does there.
#[derive(Clone, Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
    pause: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// Nanoseconds of the pauses that nobody has counted yet.
    paused: Arc<AtomicU64>,
}

impl Control {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a flag that somebody else sets.
    pub fn from_flag(stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..Self::default() }
    }

    /// Calls `pause` between two steps and between two forward passes of an evaluation, on the thread that trains: no pass is under way then, so `pause`
    /// may use the model, and must leave it as it was. It returns whether it did anything.
    #[must_use]
    pub fn with_pause(self, pause: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// Asks the job to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the job should stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Pauses where nothing is under way.
    pub fn pause(&self) {
        let Some(pause) = &self.pause else { return };
        let began = Instant::now();
        if !pause() {
            return;
        }
        self.paused.fetch_add(
            u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// How long the pauses since the last call took in which something was done: time that is not the training's. None without one.
    pub fn take_paused(&self) -> Option<Duration> {
        let paused = Duration::from_nanos(self.paused.swap(0, Ordering::Relaxed));
        (!paused.is_zero()).then_some(paused)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("stop", &self.stop)
            .field("pauses", &self.pause.is_some())
            .finish()
    }
}
