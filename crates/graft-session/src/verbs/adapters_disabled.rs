//! Guards that disable the user's adapters for a job, and enable them for a reader meanwhile.

use std::sync::Arc;

use graft_peft::Acting;
use graft_spec::Failure;

use crate::{
    SessionState,
    state::{AttachedAdapter, LoadedModel},
};

/// The adapters that were active when [`AdaptersDisabled`] disabled them.
pub(crate) struct SuspendedAdapters {
    /// The active adapters of every slot.
    slots: Acting,
    /// The adapters that were merged into the weights.
    merged: Vec<Arc<AttachedAdapter>>,
    /// All of them, merged or not.
    active: Vec<Arc<AttachedAdapter>>,
    /// The label names of the adapter in use.
    label_names: Option<Arc<Vec<String>>>,
}

/// Disables all adapters, merged or not, and restores the base's own label names.
///
/// Dropping the guard enables the same adapters again, also after an error or a panic.
pub(crate) struct AdaptersDisabled {
    model: Arc<LoadedModel>,
}

/// Enables the user's adapters in place of those of a job, such as the adapter of a trial.
///
/// Dropping the guard restores the adapters of the job, also after an error or a panic.
pub(crate) struct UserAdaptersActive {
    model: Arc<LoadedModel>,
    users: Arc<SuspendedAdapters>,
    /// The job's adapters in the slots.
    slots: Acting,
    /// The job's merged adapters.
    merged: Vec<Arc<AttachedAdapter>>,
    /// The job's label names.
    label_names: Option<Arc<Vec<String>>>,
}

impl SuspendedAdapters {
    /// Whether the adapter was active.
    pub(crate) fn contains(&self, attached: &AttachedAdapter) -> bool {
        self.active.iter().any(|known| std::ptr::eq(known.as_ref(), attached))
    }
}

impl AdaptersDisabled {
    /// Disables all adapters.
    ///
    /// # Errors
    /// When a merge cannot be undone; the adapters are then enabled again.
    pub(crate) fn new(state: &SessionState) -> Result<Self, Failure> {
        let model = state.model()?;
        let base = model.loaded.model.as_ref();
        let active: Vec<_> = state
            .adapters
            .iter()
            .filter(|attached| attached.adapter.is_active(base))
            .cloned()
            .collect();
        let merged =
            active.iter().filter(|attached| attached.adapter.is_merged()).cloned().collect();
        model.push_suspended(SuspendedAdapters {
            slots: Acting::of(base),
            merged,
            active,
            label_names: model.renamed(),
        });
        // From here on an error enables the adapters again.
        let guard = Self { model };
        guard.model.restore_own_names();
        let base = guard.model.loaded.model.as_ref();
        Acting::silence(base);
        for attached in state.adapters.iter().filter(|attached| attached.adapter.is_merged()) {
            attached.adapter.lift_merge()?;
        }
        Ok(guard)
    }
}

impl Drop for AdaptersDisabled {
    fn drop(&mut self) {
        let Some(suspended) = self.model.pop_suspended() else { return };
        let base = self.model.loaded.model.as_ref();
        suspended.merged.iter().for_each(|attached| {
            // It was merged into these weights before. If merging fails now, the adapter stays
            // marked as merged but inactive, which the tables show.
            drop(attached.adapter.reapply_merge(base));
        });
        suspended.slots.restore(base);
        self.model.set_label_names(suspended.label_names.clone());
    }
}

impl UserAdaptersActive {
    /// Enables the user's adapters; `None` when no job has disabled them.
    ///
    /// # Errors
    /// When a merge cannot be applied; the job's adapters are then restored.
    pub(crate) fn enter(state: &SessionState) -> Result<Option<Self>, Failure> {
        let Some(model) = state.model.clone() else { return Ok(None) };
        let Some(users) = model.user_adapters() else { return Ok(None) };
        let base = model.loaded.model.as_ref();
        let merged = state
            .adapters
            .iter()
            .filter(|attached| attached.adapter.is_merged() && attached.adapter.is_active(base))
            .cloned()
            .collect();
        let slots = Acting::of(base);
        let label_names = model.renamed();
        let guard = Self { slots, merged, label_names, users, model };
        let base = guard.model.loaded.model.as_ref();
        Acting::silence(base);
        guard.merged.iter().try_for_each(|attached| attached.adapter.lift_merge().map(drop))?;
        guard.users.merged.iter().try_for_each(|attached| attached.adapter.reapply_merge(base))?;
        guard.users.slots.restore(base);
        guard.model.set_label_names(guard.users.label_names.clone());
        Ok(Some(guard))
    }
}

impl Drop for UserAdaptersActive {
    fn drop(&mut self) {
        let base = self.model.loaded.model.as_ref();
        // These merges were undone or applied above, so the reverse cannot fail.
        self.users.merged.iter().for_each(|attached| drop(attached.adapter.lift_merge()));
        self.merged.iter().for_each(|attached| drop(attached.adapter.reapply_merge(base)));
        self.slots.restore(base);
        self.model.set_label_names(self.label_names.clone());
    }
}
