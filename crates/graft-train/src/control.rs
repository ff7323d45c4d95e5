//! Stopping and pausing a running job.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A stop flag and a pause hook for a running job. The training loop checks them before every step,
/// an evaluation before every forward pass.
#[derive(Clone, Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
    pause: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// Nanoseconds of pauses that [`Control::take_paused`] has not returned yet.
    paused: Arc<AtomicU64>,
}

impl Control {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses a flag that is set elsewhere.
    pub fn from_flag(stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..Self::default() }
    }

    /// Calls `pause` between two steps and between two forward passes of an evaluation, on the
    /// training thread. No pass is in progress then, so `pause` may use the model if it leaves it
    /// unchanged. It returns whether it did anything.
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

    /// The flag that [`Control::stop`] sets.
    pub fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Runs the pause hook.
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

    /// The time spent in the pause hook since the last call, which is not training time. `None` if
    /// the hook did nothing.
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
