//! Class names of a classifier.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;

/// The class names of a classifier in the order of its logits: `id2label` of a Hugging Face config.
///
/// A model has the names of its config. An adapter that was trained on other labels has its own
/// names, which replace those of the model while it is active.
#[derive(Debug, Default)]
pub struct LabelNames {
    base: OnceLock<Vec<String>>,
    is_fresh: AtomicBool,
    replaced: ArcSwapOption<Vec<String>>,
}

impl LabelNames {
    /// The names of the model's config; `None` if it has none, or only `LABEL_0`, `LABEL_1`, ….
    pub fn new(names: Option<Vec<String>>) -> Self {
        let base = OnceLock::new();
        names.into_iter().for_each(|names| drop(base.set(names)));
        Self { base, ..Self::default() }
    }

    /// Records that the head was newly initialized: its classes have no meaning until they are
    /// trained.
    pub fn mark_fresh(&self) {
        self.is_fresh.store(true, Ordering::Relaxed);
    }

    /// Whether the head is untrained, so that any label may become any class.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh.load(Ordering::Relaxed) && self.replaced.load().is_none()
    }

    /// The current names, one per class; `None` if the classes have no names.
    pub fn get(&self) -> Option<Arc<Vec<String>>> {
        self.replaced.load_full().or_else(|| self.base.get().cloned().map(Arc::new))
    }

    /// Replaces the names, or restores those of the model with `None`.
    pub fn set(&self, names: Option<Arc<Vec<String>>>) {
        self.replaced.store(names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resetting_restores_the_names_of_the_model() {
        let names = LabelNames::new(Some(vec!["no".to_owned(), "yes".to_owned()]));
        names.set(Some(Arc::new(vec!["ham".to_owned(), "spam".to_owned()])));
        assert_eq!(*names.get().unwrap(), ["ham", "spam"]);
        names.set(None);
        assert_eq!(*names.get().unwrap(), ["no", "yes"]);
    }

    #[test]
    fn a_fresh_head_is_fresh_until_its_classes_are_named() {
        let names = LabelNames::new(None);
        names.mark_fresh();
        assert!(names.is_fresh() && names.get().is_none());
        names.set(Some(Arc::new(vec!["ham".to_owned(), "spam".to_owned()])));
        assert!(!names.is_fresh());
    }
}
