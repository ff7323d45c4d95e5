//! The base alone, for as long as a guard lives.

use std::sync::Arc;

use graft_protocol::Failure;

use crate::{
    State,
    state::{Attached, LoadedModel},
};

/// While this lives the model is its base: every adapter that acts, merged or not, is switched off.
/// Dropping it, also in a panic or after an error, switches them on again.
pub(crate) struct Bare {
    model: Arc<LoadedModel>,
    silenced: Vec<Arc<Attached>>,
}

impl Bare {
    /// Lays the base bare.
    pub(crate) fn new(state: &State) -> Result<Self, Failure> {
        let mut bare = Self { model: state.model()?, silenced: Vec::new() };
        let model = bare.model.loaded.model.clone();
        let mut acting: Vec<_> = state.adapters.iter().filter(|attached| attached.adapter.is_active(model.as_ref())).cloned().collect();
        // Switching a merged adapter on silences those beside the weights, so the merged ones come first on the way back.
        acting.sort_by_key(|attached| !attached.adapter.is_merged());
        for attached in acting {
            attached.adapter.set_active(model.as_ref(), false)?;
            bare.silenced.push(attached);
        }
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for attached in &self.silenced {
            // It acted a moment ago on the same weights; should it fail now, it stays attached and silent, as the tables show.
            drop(attached.adapter.set_active(self.model.loaded.model.as_ref(), true));
        }
    }
}
