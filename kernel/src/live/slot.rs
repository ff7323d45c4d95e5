//! A live display on the page.

use std::time::Duration;

use tokio::time::Instant;

use graft_frontend::{Frontend, Rich};

/// A display that is updated under its identifier.
#[derive(Debug)]
pub(crate) struct Slot {
    id: String,
    shown: bool,
    changed: bool,
    next: Instant,
}

impl Slot {
    /// A display that is shown as soon as it changes.
    pub(crate) fn new() -> Self {
        Self::after(Duration::ZERO)
    }

    /// A display that is shown after a delay.
    pub(crate) fn after(delay: Duration) -> Self {
        Self {
            id: format!("graft-{}", uuid::Uuid::new_v4()),
            shown: false,
            changed: false,
            next: Instant::now() + delay,
        }
    }

    /// Marks the contents as changed.
    pub(crate) fn mark_changed(&mut self) {
        self.changed = true;
    }

    /// When the next redraw is due; `None` if the contents have not changed.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.changed.then_some(self.next)
    }

    /// Whether a redraw is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// Shows or updates the display; the next redraw is due after `interval` at the earliest.
    pub(crate) fn show(&mut self, rich: &Rich, frontend: &dyn Frontend, interval: Duration) {
        match self.shown {
            true => frontend.update_display(rich, &self.id),
            false => frontend.display(rich, Some(&self.id)),
        }
        self.shown = true;
        self.changed = false;
        self.next = Instant::now() + interval;
    }

    /// Updates the display for the last time; `false` if it was never shown.
    pub(crate) fn replace(&mut self, rich: &Rich, frontend: &dyn Frontend) -> bool {
        if self.shown {
            frontend.update_display(rich, &self.id);
        }
        self.shown
    }
}
