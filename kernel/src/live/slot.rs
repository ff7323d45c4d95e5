//! The place of one live display on the page.

use std::time::Duration;

use tokio::time::Instant;

use graft_frontend::{Frontend, Rich};

/// A display that is updated under its own name.
#[derive(Debug)]
pub(crate) struct Slot {
    id: String,
    shown: bool,
    changed: bool,
    next: Instant,
}

impl Slot {
    /// Shown as soon as it changes.
    pub(crate) fn new() -> Self {
        Self::after(Duration::ZERO)
    }

    /// Shown only if it still lives after that long.
    pub(crate) fn after(patience: Duration) -> Self {
        Self {
            id: format!("graft-{}", uuid::Uuid::new_v4()),
            shown: false,
            changed: false,
            next: Instant::now() + patience,
        }
    }

    /// There is something new to show.
    pub(crate) fn change(&mut self) {
        self.changed = true;
    }

    /// When it may be drawn; none when there is nothing new.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.changed.then_some(self.next)
    }

    /// Whether it is to be drawn now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// Shows or updates it; the next update comes after `interval` at the earliest.
    pub(crate) fn show(&mut self, rich: &Rich, frontend: &dyn Frontend, interval: Duration) {
        match self.shown {
            true => frontend.update_display(rich, &self.id),
            false => frontend.display(rich, Some(&self.id)),
        }
        self.shown = true;
        self.changed = false;
        self.next = Instant::now() + interval;
    }

    /// Updates it for the last time if it was ever shown; false when it was not.
    pub(crate) fn replace(&mut self, rich: &Rich, frontend: &dyn Frontend) -> bool {
        if self.shown {
            frontend.update_display(rich, &self.id);
        }
        self.shown
    }
}
