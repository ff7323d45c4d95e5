//! What the engine's threads share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use graft_protocol::Snapshot;
use tokio::sync::mpsc;

use super::Output;
use graft_frontend::OutputBudget;

/// The way out, and what is known of the session.
pub(super) struct Shared {
    output: mpsc::UnboundedSender<Output>,
    budget: OutputBudget,
    snapshot: Mutex<Arc<Snapshot>>,
    variables: Mutex<Vec<(String, String)>>,
    busy: AtomicUsize,
}

/// Counts as a caller that waits for the child, as long as it lives.
pub(super) struct Busy<'a>(&'a Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    /// Nothing known yet.
    pub(super) fn new(output: mpsc::UnboundedSender<Output>, budget: OutputBudget) -> Self {
        Self {
            output,
            budget,
            snapshot: Mutex::default(),
            variables: Mutex::default(),
            busy: AtomicUsize::new(0),
        }
    }

    /// Somebody waits for the child from now on.
    pub(super) fn begin(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(self)
    }

    /// Whether somebody waits for the child.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// Tells the frontend; one that has gone away needs nothing.
    pub(super) fn tell(&self, output: Output) {
        let _ = self.output.send(output);
    }

    /// Passes on what the child printed. Waits while too much of it is on its way: the child's pipe fills then, and the child waits too.
    pub(super) fn print(&self, kind: fn(Bytes) -> Output, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.budget.wait();
            self.tell(kind(self.budget.track(bytes)));
        }
    }

    /// The session's names.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.snapshot))
    }

    /// Replaces the session's names.
    pub(super) fn set_snapshot(&self, snapshot: Snapshot) {
        *lock(&self.snapshot) = Arc::new(snapshot);
    }

    /// Variables of the Rust cells with their types.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        lock(&self.variables).clone()
    }

    /// Replaces the variables and gives the old ones.
    pub(super) fn set_variables(
        &self,
        mut variables: Vec<(String, String)>,
    ) -> Vec<(String, String)> {
        variables.sort();
        std::mem::replace(&mut *lock(&self.variables), variables)
    }
}

/// A lock whose data stays valid whatever its holders do: each writes it in one assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
