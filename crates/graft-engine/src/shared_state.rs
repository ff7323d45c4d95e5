//! What the engine's threads share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use graft_protocol::Snapshot;
use tokio::sync::mpsc;

use super::EngineEvent;
use graft_frontend::OutputBudget;

/// The way out, and what is known of the session.
pub(crate) struct SharedState {
    events: mpsc::UnboundedSender<EngineEvent>,
    budget: OutputBudget,
    snapshot: Mutex<Arc<Snapshot>>,
    variables: Mutex<Vec<(String, String)>>,
    busy: AtomicUsize,
}

/// Counts as a caller that waits for the child, as long as it lives.
pub(crate) struct BusyGuard<'a>(&'a SharedState);

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl SharedState {
    /// Nothing known yet.
    pub(crate) fn new(events: mpsc::UnboundedSender<EngineEvent>, budget: OutputBudget) -> Self {
        Self {
            events,
            budget,
            snapshot: Mutex::default(),
            variables: Mutex::default(),
            busy: AtomicUsize::new(0),
        }
    }

    /// Somebody waits for the child from now on.
    pub(crate) fn begin(&self) -> BusyGuard<'_> {
        self.busy.fetch_add(1, Ordering::AcqRel);
        BusyGuard(self)
    }

    /// Whether somebody waits for the child.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// Tells the frontend; one that has gone away needs nothing.
    pub(crate) fn send(&self, event: EngineEvent) {
        let _ = self.events.send(event);
    }

    /// Passes on what the child printed. Waits while too much of it is on its way: the child's pipe fills then, and the child waits too.
    pub(crate) fn print(&self, kind: fn(Bytes) -> EngineEvent, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.budget.wait();
            self.send(kind(self.budget.track(bytes)));
        }
    }

    /// The session's names.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.snapshot))
    }

    /// Replaces the session's names.
    pub(crate) fn set_snapshot(&self, snapshot: Snapshot) {
        *lock(&self.snapshot) = Arc::new(snapshot);
    }

    /// Variables of the Rust cells with their types.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        lock(&self.variables).clone()
    }

    /// Replaces the variables and gives the old ones.
    pub(crate) fn set_variables(
        &self,
        mut variables: Vec<(String, String)>,
    ) -> Vec<(String, String)> {
        variables.sort();
        std::mem::replace(&mut *lock(&self.variables), variables)
    }
}

/// A lock whose data stays valid whatever its holders do: each writes it in one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
