//! `adapter_name=`: a guard that makes another adapter the active one for a command.

use std::sync::Arc;

use graft_spec::{Failure, KeySpec, Settings};

use super::adapters_disabled::AdaptersDisabled;
use crate::{SessionState, state::AttachedAdapter};

/// Activates one adapter in place of the user's active ones, which dropping the guard restores.
pub(crate) struct NamedAdapterActive {
    attached: Arc<AttachedAdapter>,
    _users: AdaptersDisabled,
}

impl NamedAdapterActive {
    /// Activates the adapter that `adapter_name` names; `None` without the key.
    ///
    /// # Errors
    /// [`crate::SessionError::UnknownAdapter`], and those of a merge that cannot be undone or
    /// applied.
    pub(crate) fn of_settings(
        state: &SessionState,
        settings: &Settings,
        keys: &[KeySpec],
    ) -> Result<Option<Self>, Failure> {
        let name = settings.text(keys, "adapter_name").filter(|name| !name.is_empty());
        let Some(name) = name else { return Ok(None) };
        let model = state.model()?;
        let attached = state.adapter(&name)?;
        let guard = Self { _users: AdaptersDisabled::new(state)?, attached };
        let (attached, base) = (&guard.attached, model.loaded.model.as_ref());
        if attached.adapter.is_merged() {
            attached.adapter.reapply_merge(base)?;
        } else {
            attached.adapter.activate(base)?;
        }
        model.set_label_names(attached.label_names());
        Ok(Some(guard))
    }
}

impl Drop for NamedAdapterActive {
    fn drop(&mut self) {
        // Merged by the guard, so it can be lifted. The other guard then applies the user's merges.
        drop(self.attached.adapter.lift_merge());
    }
}
