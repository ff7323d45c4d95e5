//! The set of active adapters of a model, saved so that it can be restored exactly.

use graft_nn::Model;

use crate::{Adapter, PeftError, slots};

/// The active adapters in each slot of a model, in the order of their activation. A merged adapter
/// is in the weights and therefore not in this set: see [`Adapter::lift_merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting(Vec<Vec<String>>);

impl Acting {
    /// The adapters that are active now.
    pub fn of(model: &dyn Model) -> Self {
        Self(slots::active_names(model))
    }

    /// Activates exactly these adapters again. An adapter that has been removed in the meantime is
    /// skipped.
    pub fn restore(&self, model: &dyn Model) {
        slots::set_active_names(model, &self.0);
    }

    /// Deactivates every adapter in every slot.
    pub fn silence(model: &dyn Model) {
        slots::deactivate_all(model);
    }
}

impl Adapter {
    /// Restores the base weights while the adapter stays merged. Returns whether the update was in
    /// the weights.
    ///
    /// Unlike [`Adapter::activate`] it changes no other adapter, and it does not affect a later
    /// [`Adapter::unmerge`].
    ///
    /// # Errors
    /// [`PeftError::Layer`] if a weight cannot be restored.
    pub fn lift_merge(&self) -> Result<bool, PeftError> {
        match &mut *self.merge_state() {
            Some(merge) if merge.is_applied() => merge.restore().map(|()| true),
            _ => Ok(false),
        }
    }

    /// Undoes [`Adapter::lift_merge`]: adds the update of a merged adapter to the base weights
    /// again.
    ///
    /// # Errors
    /// [`PeftError::NotFinite`] and [`PeftError::Layer`]; the base weights are then unchanged.
    pub fn reapply_merge(&self, model: &dyn Model) -> Result<(), PeftError> {
        match &mut *self.merge_state() {
            Some(merge) if !merge.is_applied() => merge.apply(model, self.parts()),
            _ => Ok(()),
        }
    }
}
