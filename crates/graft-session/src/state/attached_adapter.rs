//! An attached adapter.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use graft_peft::Adapter;
use graft_spec::Settings;
use graft_train::runs::Start;

use crate::provenance::{Origin, Provenance};

/// An adapter with its history in this session.
pub struct AttachedAdapter {
    /// The adapter.
    pub adapter: Adapter,
    /// Number of steps that its weights were trained for, as far as this session knows.
    trained_steps: AtomicU64,
    /// The origin of the adapter and of its weights.
    provenance: Provenance,
    /// The keys that the user gave, if the initialization read data or unpacked weights: the
    /// adapter's own settings contain the result instead.
    requested: OnceLock<Settings>,
    /// Label names of the data that the adapter was trained on.
    label_names: ArcSwapOption<Vec<String>>,
}

impl AttachedAdapter {
    /// An adapter that has just been attached or loaded.
    pub(crate) fn new(adapter: Adapter, origin: Origin) -> Self {
        Self {
            trained_steps: AtomicU64::new(origin.steps),
            provenance: Provenance::new(origin, &adapter),
            requested: OnceLock::new(),
            label_names: ArcSwapOption::empty(),
            adapter,
        }
    }

    /// The origin of the adapter and of its weights.
    pub(crate) fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The origin of its current weights, with their fingerprint.
    pub(crate) fn start(&self) -> (Start, String) {
        self.provenance.now(&self.adapter)
    }

    /// Records the origin of its current weights.
    pub(crate) fn set_start(&self, start: Start) {
        self.provenance.set(start, &self.adapter);
    }

    /// Remembers the keys that the user gave, for initializations that replace them.
    pub(crate) fn remember_requested(&self, settings: &Settings) {
        let start =
            settings.text(self.adapter.spec().keys, "init_lora_weights").unwrap_or_default();
        if matches!(start.as_str(), "eva" | "loftq") {
            self.requested.get_or_init(|| settings.clone());
        }
    }

    /// The keys that attach it again with fresh weights.
    pub(crate) fn asked(&self) -> &Settings {
        self.requested.get().unwrap_or_else(|| self.adapter.settings())
    }

    /// Label names of the data that the adapter was trained on; `None` if the model's own apply.
    pub fn label_names(&self) -> Option<Arc<Vec<String>>> {
        self.label_names.load_full()
    }

    pub(crate) fn set_label_names(&self, names: Option<Arc<Vec<String>>>) {
        self.label_names.store(names);
    }

    /// Number of steps that its weights were trained for, as far as this session knows.
    pub fn trained_steps(&self) -> u64 {
        self.trained_steps.load(Ordering::Relaxed)
    }

    pub(crate) fn add_steps(&self, steps: u64) {
        self.trained_steps.fetch_add(steps, Ordering::Relaxed);
    }

    /// `` `default` (lora r=8 ...) ``.
    pub fn describe(&self) -> String {
        format!(
            "`{}` ({} {})",
            self.adapter.name(),
            self.adapter.spec().verb,
            self.adapter.summary()
        )
    }
}
