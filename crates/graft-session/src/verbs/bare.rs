//! The base alone for as long as a guard lives, and the user's own model for a reader in the middle of that.

use std::sync::Arc;

use graft_peft::Acting;
use graft_spec::Failure;

use crate::{
    State,
    state::{Attached, LoadedModel},
};

/// What the user had acting on a model when its base was laid bare.
pub(crate) struct Aside {
    /// Beside the weights, slot by slot.
    slots: Acting,
    /// In the weights.
    merged: Vec<Arc<Attached>>,
    /// Both together.
    acting: Vec<Arc<Attached>>,
    /// The names of the classes that came with the adapter in use.
    names: Option<Arc<Vec<String>>>,
}

/// While this lives the model is its base: every adapter that acts, merged or not, is switched off, and the classes have the base's own names.
/// Dropping it, also in a panic or after an error, switches exactly those on again and restores their names.
pub(crate) struct Bare {
    model: Arc<LoadedModel>,
}

/// While this lives the model is the user's own, whatever a job has put into it: a trial's adapter, or nothing at all.
/// Dropping it, also in a panic or after an error, gives the job back what it had.
pub(crate) struct UsersModel {
    model: Arc<LoadedModel>,
    users: Arc<Aside>,
    /// What the job has acting beside the weights, and in them.
    slots: Acting,
    merged: Vec<Arc<Attached>>,
    /// What the classes are called for the job.
    names: Option<Arc<Vec<String>>>,
}

impl Aside {
    /// Whether the adapter is among what acted.
    pub(crate) fn acts(&self, attached: &Attached) -> bool {
        self.acting.iter().any(|known| std::ptr::eq(known.as_ref(), attached))
    }
}

impl Bare {
    /// Lays the base bare.
    pub(crate) fn new(state: &State) -> Result<Self, Failure> {
        let model = state.model()?;
        let base = model.loaded.model.as_ref();
        let acting: Vec<_> = state
            .adapters
            .iter()
            .filter(|attached| attached.adapter.is_active(base))
            .cloned()
            .collect();
        let merged =
            acting.iter().filter(|attached| attached.adapter.is_merged()).cloned().collect();
        model.lay_aside(Aside { slots: Acting::of(base), merged, acting, names: model.renamed() });
        // From here on an error puts back what has been taken away.
        let bare = Self { model };
        bare.model.restore_own_names();
        let base = bare.model.loaded.model.as_ref();
        Acting::silence(base);
        for attached in state.adapters.iter().filter(|attached| attached.adapter.is_merged()) {
            attached.adapter.lift_merge()?;
        }
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let Some(aside) = self.model.take_up() else { return };
        let base = self.model.loaded.model.as_ref();
        aside.merged.iter().for_each(|attached| {
            // It was in these very weights a moment ago; should it fail now, it stays merged and silent, as the tables show.
            drop(attached.adapter.reapply_merge(base));
        });
        aside.slots.restore(base);
        self.model.set_label_names(aside.names.clone());
    }
}

impl UsersModel {
    /// Puts the user's adapters in the place of what a job has in the model; none when no job has anything of its own there.
    ///
    /// # Errors
    /// When a merge cannot be put back; the job then has what it had.
    pub(crate) fn enter(state: &State) -> Result<Option<Self>, Failure> {
        let Some((model, users)) =
            state.model.clone().and_then(|model| model.users().map(|users| (model, users)))
        else {
            return Ok(None);
        };
        let base = model.loaded.model.as_ref();
        let merged = state
            .adapters
            .iter()
            .filter(|attached| attached.adapter.is_merged() && attached.adapter.is_active(base))
            .cloned()
            .collect();
        let own = Self { slots: Acting::of(base), merged, names: model.renamed(), users, model };
        let base = own.model.loaded.model.as_ref();
        Acting::silence(base);
        own.merged.iter().try_for_each(|attached| attached.adapter.lift_merge().map(drop))?;
        own.users.merged.iter().try_for_each(|attached| attached.adapter.reapply_merge(base))?;
        own.users.slots.restore(base);
        own.model.set_label_names(own.users.names.clone());
        Ok(Some(own))
    }
}

impl Drop for UsersModel {
    fn drop(&mut self) {
        let base = self.model.loaded.model.as_ref();
        // Weights that were exchanged a moment ago can be exchanged again.
        self.users.merged.iter().for_each(|attached| drop(attached.adapter.lift_merge()));
        self.merged.iter().for_each(|attached| drop(attached.adapter.reapply_merge(base)));
        self.slots.restore(base);
        self.model.set_label_names(self.names.clone());
    }
}
