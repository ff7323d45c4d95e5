//! The origin of an adapter's weights.

use std::sync::{Mutex, MutexGuard, PoisonError};

use graft_peft::Adapter;
use graft_train::{runs::Start, weights_fingerprint};

/// The origin of an adapter.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Seed with which it was attached; `None` if it was loaded or combined.
    pub(crate) seed: Option<u64>,
    /// Folder that it was loaded from.
    pub(crate) folder: Option<String>,
    /// The origin of its weights.
    pub(crate) start: Start,
    /// Number of steps that these weights were trained for.
    pub(crate) steps: u64,
}

/// The origin of an adapter and of its current weights, which training changes.
#[derive(Debug)]
pub(crate) struct Provenance {
    pub(crate) seed: Option<u64>,
    pub(crate) folder: Option<String>,
    weights: Mutex<(Start, String)>,
}

impl Origin {
    /// A fresh adapter.
    pub(crate) fn fresh(seed: u64) -> Self {
        Self { seed: Some(seed), folder: None, start: Start::Fresh { seed, data: None }, steps: 0 }
    }

    /// An adapter that was loaded from a folder.
    pub(crate) fn folder(folder: String) -> Self {
        Self { seed: None, folder: Some(folder.clone()), start: Start::Folder { folder }, steps: 0 }
    }

    /// An adapter that was created in another way.
    pub(crate) fn other(what: impl Into<String>) -> Self {
        Self { seed: None, folder: None, start: Start::Other { what: what.into() }, steps: 0 }
    }
}

impl Provenance {
    pub(crate) fn new(origin: Origin, adapter: &Adapter) -> Self {
        let Origin { seed, folder, start, .. } = origin;
        Self { seed, folder, weights: Mutex::new((start, fingerprint(adapter))) }
    }

    /// The origin of the current weights with their fingerprint. A Rust cell can change weights
    /// without notice, which the fingerprint reveals.
    pub(crate) fn now(&self, adapter: &Adapter) -> (Start, String) {
        let (start, known) = self.weights().clone();
        let now = fingerprint(adapter);
        if now == known {
            (start, now)
        } else {
            (Start::Other { what: format!("{start}, changed since") }, now)
        }
    }

    /// The run that the weights were recorded to come from. A change by a Rust cell is not noticed.
    pub(crate) fn run(&self) -> Option<String> {
        match &self.weights().0 {
            Start::Run { run, .. } => Some(run.clone()),
            _ => None,
        }
    }

    /// Whether weights with this fingerprint are those whose origin was recorded last.
    pub(crate) fn is_known(&self, fingerprint: &str) -> bool {
        self.weights().1 == fingerprint
    }

    /// Records the origin of the current weights.
    pub(crate) fn set(&self, start: Start, adapter: &Adapter) {
        *self.weights() = (start, fingerprint(adapter));
    }

    fn weights(&self) -> MutexGuard<'_, (Start, String)> {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fingerprint of the weights; empty if they cannot be read, in which case training fails too.
fn fingerprint(adapter: &Adapter) -> String {
    weights_fingerprint(&adapter.trainables()).unwrap_or_default()
}
