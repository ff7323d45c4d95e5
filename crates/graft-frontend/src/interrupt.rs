//! The stop button as the host sees it; the engine interrupts the child separately.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Records whether the running cell was asked to stop; clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pressed: AtomicBool,
    wake: Notify,
}

impl Interrupt {
    /// Records a press of the stop button and wakes every waiter.
    pub fn press(&self) {
        self.shared.pressed.store(true, Ordering::SeqCst);
        self.shared.wake.notify_waiters();
    }

    /// Forgets earlier presses; called when a new cell starts.
    pub fn clear(&self) {
        self.shared.pressed.store(false, Ordering::SeqCst);
    }

    /// Whether the button was pressed since the cell started.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.shared.pressed.load(Ordering::SeqCst)
    }

    /// Returns when the button is pressed.
    pub async fn pressed(&self) {
        loop {
            let wake = self.shared.wake.notified();
            tokio::pin!(wake);
            // Registered before the flag is read, so that a press between the two is not lost.
            wake.as_mut().enable();
            if self.is_pressed() {
                return;
            }
            wake.await;
        }
    }
}
