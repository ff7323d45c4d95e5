//! A loaded model.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use graft_models::Loaded;
use graft_nn::LabelNames;
use graft_spec::Settings;

use crate::verbs::adapters_disabled::SuspendedAdapters;

/// A model and how it was loaded.
pub struct LoadedModel {
    /// The model with its tokenizer.
    pub loaded: Loaded,
    /// What the user typed after `%model load`.
    pub source: String,
    /// The keys it was loaded with.
    pub settings: Settings,
    /// The source in a form that does not depend on the working directory.
    absolute_source: String,
    /// Label names that replace those of the classifier.
    renamed: ArcSwapOption<Vec<String>>,
    /// The adapters that jobs have disabled, the user's own first; empty while the user's adapters
    /// are active.
    suspended: Mutex<Vec<Arc<SuspendedAdapters>>>,
}

impl LoadedModel {
    /// A model that has just been loaded.
    pub fn new(loaded: Loaded, source: String, settings: Settings) -> Self {
        let full = std::path::absolute(&source).ok().filter(|full| loaded.source.starts_with(full));
        let absolute_source =
            full.map_or_else(|| source.clone(), |full| full.display().to_string());
        Self {
            loaded,
            source,
            settings,
            absolute_source,
            renamed: ArcSwapOption::empty(),
            suspended: Mutex::default(),
        }
    }

    /// The label names of a classifier in the order of its logits: those of `id2label`, or of the
    /// data that the adapter in use was trained on. `None` for other models, and for classifiers
    /// without label names.
    pub fn label_names(&self) -> Option<Arc<Vec<String>>> {
        self.loaded.model.label_names()?.get()
    }

    /// Replaces the label names; `None` restores the model's own.
    pub fn set_label_names(&self, names: Option<Arc<Vec<String>>>) {
        if let Some(known) = self.loaded.model.label_names() {
            self.renamed.store(names.clone());
            known.set(names);
        }
    }

    /// The label names that replace the model's own.
    pub(crate) fn renamed(&self) -> Option<Arc<Vec<String>>> {
        self.renamed.load_full()
    }

    /// Sets the label names of the user's adapter, unless a job has disabled it: in that case the
    /// names return together with the adapter.
    pub(crate) fn name_classes(&self, names: Option<Arc<Vec<String>>>) {
        // The lock is held, so that a job cannot disable the adapters between check and change.
        let suspended = self.suspended();
        if suspended.is_empty() {
            self.set_label_names(names);
        }
    }

    /// Restores the model's own label names. A freshly initialized head has none and keeps the
    /// current ones.
    pub(crate) fn restore_own_names(&self) {
        let renamed = self.renamed();
        self.set_label_names(None);
        if self.loaded.model.label_names().is_some_and(LabelNames::is_fresh) {
            self.set_label_names(renamed);
        }
    }

    /// A source that loads this model after `%cd` and in a later session: local files by absolute
    /// path, everything else as the user typed it.
    pub(crate) fn absolute_source(&self) -> &str {
        &self.absolute_source
    }

    /// The user's adapters while a job has disabled them; `None` while they are active.
    pub(crate) fn user_adapters(&self) -> Option<Arc<SuspendedAdapters>> {
        self.suspended().first().cloned()
    }

    /// Remembers adapters that are about to be disabled.
    pub(crate) fn push_suspended(&self, adapters: SuspendedAdapters) {
        self.suspended().push(Arc::new(adapters));
    }

    /// Returns the adapters that were disabled last.
    pub(crate) fn pop_suspended(&self) -> Option<Arc<SuspendedAdapters>> {
        self.suspended().pop()
    }

    fn suspended(&self) -> MutexGuard<'_, Vec<Arc<SuspendedAdapters>>> {
        self.suspended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
