//! The stop button, as everything on the host side sees it; the engine has its own way to the child.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether the cell that runs was asked to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pressed: AtomicBool,
    wake: Notify,
}

impl Interrupt {
    /// The button was pressed.
    pub(crate) fn press(&self) {
        self.shared.pressed.store(true, Ordering::SeqCst);
        self.shared.wake.notify_waiters();
    }

    /// A new cell begins: what was pressed before does not concern it.
    pub(crate) fn clear(&self) {
        self.shared.pressed.store(false, Ordering::SeqCst);
    }

    /// Whether it was pressed since the cell began.
    pub(crate) fn is_pressed(&self) -> bool {
        self.shared.pressed.load(Ordering::SeqCst)
    }

    /// Returns when it is pressed.
    pub(crate) async fn pressed(&self) {
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
