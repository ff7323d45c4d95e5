//! Where the weights of an adapter come from.

use std::sync::{Mutex, MutexGuard, PoisonError};

use graft_peft::Adapter;
use graft_train::{runs::Start, weights_fingerprint};

/// What an adapter was made from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Seed with which it was attached; none for one that was loaded or combined.
    pub(crate) seed: Option<u64>,
    /// Folder that it was loaded from, if it was.
    pub(crate) folder: Option<String>,
    /// Where its weights come from.
    pub(crate) start: Start,
    /// Steps that these weights were trained for.
    pub(crate) steps: u64,
}

/// The origin of an adapter and, since training changes them, that of the weights it has now.
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

    /// An adapter that was read from a folder.
    pub(crate) fn folder(folder: String) -> Self {
        Self { seed: None, folder: Some(folder.clone()), start: Start::Folder { folder }, steps: 0 }
    }

    /// An adapter that was made in some other way.
    pub(crate) fn other(what: impl Into<String>) -> Self {
        Self { seed: None, folder: None, start: Start::Other { what: what.into() }, steps: 0 }
    }
}

impl Provenance {
    pub(crate) fn new(origin: Origin, adapter: &Adapter) -> Self {
        let Origin { seed, folder, start, .. } = origin;
        Self { seed, folder, weights: Mutex::new((start, fingerprint(adapter))) }
    }

    /// Where the weights that `adapter` has now come from, with their fingerprint. A Rust cell can change weights without anybody being told.
    pub(crate) fn now(&self, adapter: &Adapter) -> (Start, String) {
        let (start, known) = self.weights().clone();
        let now = fingerprint(adapter);
        if now == known {
            (start, now)
        } else {
            (Start::Other { what: format!("{start}, changed since") }, now)
        }
    }

    /// Whether weights with this fingerprint are those whose origin was noted last.
    pub(crate) fn is_known(&self, fingerprint: &str) -> bool {
        self.weights().1 == fingerprint
    }

    /// Says where the weights that `adapter` has now come from.
    pub(crate) fn set(&self, start: Start, adapter: &Adapter) {
        *self.weights() = (start, fingerprint(adapter));
    }

    fn weights(&self) -> MutexGuard<'_, (Start, String)> {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Weights that cannot be read have no fingerprint; they cannot be trained either.
fn fingerprint(adapter: &Adapter) -> String {
    weights_fingerprint(&adapter.trainables()).unwrap_or_default()
}
