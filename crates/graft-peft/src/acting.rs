//! What acts on a base, remembered exactly, so that it can be taken away for a while and put back.

use graft_nn::Model;

use crate::{Adapter, PeftError, slots};

/// The adapters that act in each slot of a model, in the order of their activation. A merged adapter acts in the weights and is not part of it: see
/// [`Adapter::lift_merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting(Vec<Vec<String>>);

impl Acting {
    /// What acts now.
    pub fn of(model: &dyn Model) -> Self {
        Self(slots::active_names(model))
    }

    /// Activates exactly these adapters again; one that was removed in the meantime is left out.
    pub fn restore(&self, model: &dyn Model) {
        slots::set_active_names(model, &self.0);
    }

    /// Deactivates every adapter in every slot.
    pub fn silence(model: &dyn Model) {
        slots::deactivate_all(model);
    }
}

impl Adapter {
    /// Puts the base's own weights back while the adapter stays merged; returns whether its update was in them.
    ///
    /// Unlike [`Adapter::set_active`] it touches no other adapter and does not change what [`Adapter::unmerge`] does later.
    ///
    /// # Errors
    /// [`PeftError::Layer`] when candle cannot put a weight back.
    pub fn lift_merge(&self) -> Result<bool, PeftError> {
        match &mut *self.merge_state() {
            Some(merge) if merge.is_applied() => merge.restore().map(|()| true),
            _ => Ok(false),
        }
    }

    /// Undoes [`Adapter::lift_merge`]: adds the update of a merged adapter to the base weights again.
    ///
    /// # Errors
    /// [`PeftError::NotFinite`] and [`PeftError::Layer`]; the base then has its own weights.
    pub fn reapply_merge(&self, model: &dyn Model) -> Result<(), PeftError> {
        match &mut *self.merge_state() {
            Some(merge) if !merge.is_applied() => merge.apply(model, self.parts()),
            _ => Ok(()),
        }
    }
}
