//! State that all parts of one adapter share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The scale of the adapter, and whether it is merged into the base weights.
#[derive(Debug)]
pub(crate) struct AdapterState {
    scale: AtomicU64,
    merged: AtomicBool,
}

impl AdapterState {
    pub(crate) fn new() -> Self {
        Self { scale: AtomicU64::new(1f64.to_bits()), merged: AtomicBool::new(false) }
    }

    /// The scale: 1 is the trained effect, 0 is the base model.
    pub(crate) fn scale(&self) -> f64 {
        f64::from_bits(self.scale.load(Ordering::Relaxed))
    }

    pub(crate) fn set_scale(&self, factor: f64) {
        self.scale.store(factor.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn is_merged(&self) -> bool {
        self.merged.load(Ordering::Relaxed)
    }

    pub(crate) fn set_merged(&self, merged: bool) {
        self.merged.store(merged, Ordering::Relaxed);
    }
}
