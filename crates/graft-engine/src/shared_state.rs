//! The state shared by the engine's threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use graft_frontend::OutputBudget;
use graft_protocol::Snapshot;
use tokio::sync::mpsc;

use crate::event::EngineEvent;

/// The channel to the frontend, and the last known state of the session.
pub(crate) struct SharedState {
    events: mpsc::UnboundedSender<EngineEvent>,
    budget: OutputBudget,
    snapshot: Mutex<Arc<Snapshot>>,
    variables: Mutex<Vec<(String, String)>>,
    busy: AtomicUsize,
}

/// Marks the engine as busy until it is dropped.
pub(crate) struct BusyGuard<'a>(&'a SharedState);

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl SharedState {
    /// The state before the first child has reported anything.
    pub(crate) fn new(events: mpsc::UnboundedSender<EngineEvent>, budget: OutputBudget) -> Self {
        Self {
            events,
            budget,
            snapshot: Mutex::default(),
            variables: Mutex::default(),
            busy: AtomicUsize::new(0),
        }
    }

    /// Registers a caller that is blocked on the child.
    pub(crate) fn begin(&self) -> BusyGuard<'_> {
        self.busy.fetch_add(1, Ordering::AcqRel);
        BusyGuard(self)
    }

    /// Whether any caller is blocked on the child.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// Sends an event to the frontend, if there still is one.
    pub(crate) fn send(&self, event: EngineEvent) {
        let _ = self.events.send(event);
    }

    /// Sends output of the child. Blocks while the output budget is exhausted; the child's pipe
    /// then fills, and the child blocks too.
    pub(crate) fn print(&self, kind: fn(Bytes) -> EngineEvent, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.budget.wait();
            self.send(kind(self.budget.track(bytes)));
        }
    }

    /// The objects of the session.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.snapshot))
    }

    /// Replaces the snapshot.
    pub(crate) fn set_snapshot(&self, snapshot: Snapshot) {
        *lock(&self.snapshot) = Arc::new(snapshot);
    }

    /// The variables of the Rust cells with their types.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        lock(&self.variables).clone()
    }

    /// Replaces the variables and returns the old ones.
    pub(crate) fn set_variables(
        &self,
        mut variables: Vec<(String, String)>,
    ) -> Vec<(String, String)> {
        variables.sort();
        std::mem::replace(&mut *lock(&self.variables), variables)
    }
}

/// Locks a mutex, ignoring poison: every holder writes the data in one assignment, so a panic
/// cannot leave it inconsistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
