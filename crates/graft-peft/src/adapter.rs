//! One adapter in a model: its trainable weights, activation, merging and scaling.

mod saving;

use std::sync::{Mutex, MutexGuard, PoisonError};

use graft_nn::{Model, Trainable, TrainingHook, Var};
use graft_spec::{Settings, Value, methods::MethodSpec};

use crate::{
    PeftError,
    config_file::ConfigFile,
    fields,
    merge::Merge,
    method::{AdapterPart, Attachment, Built, Method},
    slots,
};

pub use saving::Extras;

/// An adapter with its weights. It remains usable when it is inactive or detached. If it is dropped
/// while merged, the base weights are restored.
pub struct Adapter {
    name: String,
    method: &'static dyn Method,
    config: ConfigFile,
    built: Built,
    merge: Mutex<Option<Merge>>,
}

/// Maximum characters of a list in a one-line summary.
const MAX_LIST_CHARS: usize = 72;

/// Formats a value for a one-line summary: a long list is cut after its first item.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match value {
        Value::List(items) if items.len() > 2 && text.len() > MAX_LIST_CHARS => {
            format!("{},…({} more)", items[0], items.len() - 1)
        }
        _ => text,
    }
}

/// The configuration and the parts that an adapter is made from.
pub(crate) struct AdapterSource {
    pub(crate) config: ConfigFile,
    pub(crate) built: Built,
}

impl Adapter {
    pub(crate) fn new(name: String, method: &'static dyn Method, source: AdapterSource) -> Self {
        Self { name, method, config: source.config, built: source.built, merge: Mutex::new(None) }
    }

    /// The name of the adapter.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The specification of its method.
    pub fn spec(&self) -> &'static MethodSpec {
        self.method.spec()
    }

    /// Warnings and notes collected while building the adapter.
    pub fn notes(&self) -> &[String] {
        &self.built.warnings
    }

    /// The effective keys: targets by name, with the defaults that matter filled in.
    pub fn settings(&self) -> &Settings {
        &self.built.settings
    }

    /// The effective keys as text, such as `r=8 lora_alpha=16 target_modules=q_proj,v_proj`.
    pub fn summary(&self) -> String {
        let shown = self.spec().keys.iter().filter_map(|key| {
            let text = shortened(self.built.settings.values.get(key.name)?);
            Some(if text.contains(char::is_whitespace) {
                format!("{}={text:?}", key.name)
            } else {
                format!("{}={text}", key.name)
            })
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    /// The trainable weights, in the model's order, named by their keys in
    /// `adapter_model.safetensors`.
    pub fn trainables(&self) -> Vec<Trainable> {
        let ratio = self.built.settings.float(self.spec().keys, fields::LORAPLUS).unwrap_or(1.0);
        let rate = |key: &str| if key.contains(".lora_B") { ratio } else { 1.0 };
        self.weights()
            .map(|(key, var)| Trainable {
                lr_scale: rate(key),
                ..Trainable::new(key.clone(), var.clone())
            })
            .collect()
    }

    /// The method's own part in training, such as AdaLoRA's rank allocation.
    pub fn training_hook(&self) -> Option<&dyn TrainingHook> {
        self.built.training_hook.as_deref()
    }

    /// Number of trainable parameters.
    pub fn trainable_parameters(&self) -> u64 {
        self.weights().map(|(_, var)| var.elem_count() as u64).sum()
    }

    /// Number of parameters that the base model does not have.
    pub(crate) fn added_parameters(&self) -> u64 {
        self.built.parts.iter().map(AdapterPart::added).sum()
    }

    /// Number of trainable parameters in the layer at `path`, and number of those that the base
    /// model does not have.
    pub(crate) fn parameters_at(&self, path: &str) -> (u64, u64) {
        let is_inside = |part: &&AdapterPart| part.site == path && !part.is_standalone();
        let parts = || self.built.parts.iter().filter(is_inside);
        (parts().map(AdapterPart::trained).sum(), parts().map(AdapterPart::added).sum())
    }

    /// Whether it adds vectors, or keys and values, in front of the input and changes no weight.
    pub(crate) fn is_soft_prompt(&self) -> bool {
        self.built
            .parts
            .iter()
            .any(|part| matches!(part.attachment, Attachment::Prompt(_) | Attachment::Prefix(_)))
    }

    /// The trainable tensors that belong to no layer of the base model, with their names: soft
    /// prompts and networks between layers.
    pub(crate) fn standalone_weights(&self) -> impl Iterator<Item = (&str, &Var)> {
        let standalone = self.built.parts.iter().filter(|part| part.is_standalone());
        standalone.flat_map(|part| &part.weights).map(|(key, var)| (key.as_str(), var))
    }

    /// Hugging Face paths of the adapted layers.
    pub fn sites(&self) -> Vec<String> {
        self.built.parts.iter().map(|part| part.site.clone()).collect()
    }

    /// Whether the adapter is active in this model, merged or not.
    pub fn is_active(&self, model: &dyn Model) -> bool {
        match &*self.merge_state() {
            Some(merge) => merge.is_applied(),
            None => slots::is_active(model, &self.name, &self.built.parts),
        }
    }

    /// Activates the adapter and deactivates all others. A merged adapter is added to the base
    /// weights again.
    ///
    /// # Errors
    /// [`PeftError::Layer`] if a merged weight cannot be computed.
    pub fn activate(&self, model: &dyn Model) -> Result<(), PeftError> {
        let mut state = self.merge_state();
        let Some(merge) = state.as_mut() else {
            slots::activate_alone(model, &self.name);
            return Ok(());
        };
        slots::deactivate_all(model);
        merge.apply(model, &self.built.parts)?;
        merge.active_after = true;
        Ok(())
    }

    /// Deactivates the adapter. The base weights of a merged adapter are restored until it is
    /// activated again.
    ///
    /// # Errors
    /// [`PeftError::Layer`] if a base weight cannot be restored.
    pub fn deactivate(&self, model: &dyn Model) -> Result<(), PeftError> {
        let mut state = self.merge_state();
        let Some(merge) = state.as_mut() else {
            slots::deactivate(model, &self.name);
            return Ok(());
        };
        merge.restore()?;
        merge.active_after = false;
        Ok(())
    }

    /// Removes the adapter from the model, which is then exactly as before.
    ///
    /// # Errors
    /// [`PeftError::Layer`] if a merged weight cannot be restored.
    pub fn detach(&self, model: &dyn Model) -> Result<(), PeftError> {
        self.restore_base()?;
        slots::remove(model, &self.name, &self.built.parts);
        Ok(())
    }

    /// Inserts the adapter into the model again and activates it alone. It replaces any adapter
    /// with the same name. This undoes [`Self::detach`] and a replacement.
    pub fn reattach(&self, model: &dyn Model) {
        self.install(model);
    }

    /// Adds the current update of the adapter to the base weights and deactivates the adapter. The
    /// base weights are saved so that they can be restored exactly. Training a merged adapter has
    /// no effect on the merged weights.
    ///
    /// # Errors
    /// [`PeftError::NotMergeable`] or [`PeftError::TiedEmbedding`] if the method has no weight
    /// update to merge, [`PeftError::AlreadyMerged`], [`PeftError::OtherMerged`] if another adapter
    /// is merged into one of the layers, and [`PeftError::NotFinite`] if a merged weight is not
    /// finite. The model is then unchanged.
    pub fn merge(&self, model: &dyn Model) -> Result<(), PeftError> {
        let mut state = self.merge_state();
        if state.is_some() {
            return Err(PeftError::AlreadyMerged {
                adapter: self.name.clone(),
                verb: self.spec().verb,
            });
        }
        *state = Some(Merge::new(model, &self.name, &self.built.parts)?);
        self.built.state.set_merged(true);
        slots::deactivate(model, &self.name);
        Ok(())
    }

    /// Undoes a merge: restores every bit of the base weights, and activates the adapter if it was
    /// active before the merge.
    ///
    /// # Errors
    /// [`PeftError::NotMerged`], and [`PeftError::Layer`] if a weight cannot be restored.
    pub fn unmerge(&self, model: &dyn Model) -> Result<(), PeftError> {
        let active_after = self.merge_state().as_ref().is_some_and(|merge| merge.active_after);
        if !self.restore_base()? {
            return Err(PeftError::NotMerged {
                adapter: self.name.clone(),
                verb: self.spec().verb,
            });
        }
        if active_after {
            slots::activate_also(model, &self.name);
        }
        Ok(())
    }

    /// Whether the adapter is merged into the base weights.
    pub fn is_merged(&self) -> bool {
        self.built.state.is_merged()
    }

    /// The scale of its effect: 1 is the trained effect, 0 is the base model.
    pub fn scale(&self) -> f64 {
        self.built.state.scale()
    }

    /// Sets the scale, also of a merged adapter. The scale is not saved.
    ///
    /// # Errors
    /// [`PeftError::InvalidScale`] for a number that is not finite, and [`PeftError::NotScalable`]
    /// for a soft prompt and for trained copies of base weights.
    pub fn set_scale(&self, model: &dyn Model, factor: f64) -> Result<(), PeftError> {
        if !factor.is_finite() {
            return Err(PeftError::InvalidScale { factor });
        }
        if self.is_soft_prompt() && factor != 1.0 {
            return Err(PeftError::NotScalable {
                adapter: self.name.clone(),
                reason: "a soft prompt is added to the input, not to a weight",
                verb: self.spec().verb,
            });
        }
        if factor != 1.0
            && self.built.parts.iter().any(|part| {
                matches!(part.attachment, Attachment::Weight(..) | Attachment::Head(_))
                    && !part.weights.is_empty()
            })
        {
            return Err(PeftError::NotScalable {
                adapter: self.name.clone(),
                reason: "it trains weights of the base model directly",
                verb: self.spec().verb,
            });
        }
        self.built.state.set_scale(factor);
        match &mut *self.merge_state() {
            Some(merge) if merge.is_applied() => merge.apply(model, &self.built.parts),
            _ => Ok(()),
        }
    }

    /// Inserts the adapter into the model under its name, replacing any adapter of that name, and
    /// activates it alone.
    pub(crate) fn install(&self, model: &dyn Model) {
        slots::insert(model, &self.name, &self.built.parts);
        slots::activate_alone(model, &self.name);
    }

    /// The parts of the adapter, in the model's order.
    pub(crate) fn parts(&self) -> &[AdapterPart] {
        &self.built.parts
    }

    fn weights(&self) -> impl Iterator<Item = &(String, Var)> {
        self.built.parts.iter().flat_map(|part| &part.weights)
    }

    /// Restores the base weights; returns false if nothing was merged.
    fn restore_base(&self) -> Result<bool, PeftError> {
        let mut state = self.merge_state();
        let Some(merge) = state.as_mut() else { return Ok(false) };
        merge.restore()?;
        *state = None;
        self.built.state.set_merged(false);
        Ok(true)
    }

    pub(crate) fn merge_state(&self) -> MutexGuard<'_, Option<Merge>> {
        // A panic does not corrupt the saved weights, so they can still be restored.
        self.merge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Adapter {
    /// Restores the base weights if the adapter is merged.
    fn drop(&mut self) {
        let _ = self.restore_base();
    }
}
