//! One adapter in a model: what it trains, and what can be done with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use graft_nn::{Model, Tensor, Trainable, TrainingHook, Var, atomic_file, atomic_folder};
use graft_spec::{Settings, Value, methods::MethodSpec};

use crate::{
    PeftError,
    config_file::ConfigFile,
    fields,
    merge::Merge,
    method::{AdapterPart, Attachment, Built, Method},
    slots, stored_weights, weights_file,
};

/// An adapter with its weights. It stays usable when it is switched off or detached; when it is dropped while merged, the base gets its
/// own weights back.
pub struct Adapter {
    name: String,
    method: &'static dyn Method,
    config: ConfigFile,
    built: Built,
    merge: Mutex<Option<Merge>>,
}

/// Characters of a list that a line has room for.
const ROOM: usize = 72;

/// A value as a line has room for it: of a long list the first item.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match value {
        Value::List(items) if items.len() > 2 && text.len() > ROOM => {
            format!("{},…({} more)", items[0], items.len() - 1)
        }
        _ => text,
    }
}

/// What an adapter is made from.
pub(crate) struct Source {
    pub(crate) config: ConfigFile,
    pub(crate) built: Built,
}

impl Adapter {
    pub(crate) fn new(name: String, method: &'static dyn Method, source: Source) -> Self {
        Self { name, method, config: source.config, built: source.built, merge: Mutex::new(None) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its method.
    pub fn spec(&self) -> &'static MethodSpec {
        self.method.spec()
    }

    /// What was odd but harmless when it was made, or was found out on the way.
    pub fn notes(&self) -> &[String] {
        &self.built.warnings
    }

    /// Its keys as they turned out: targets by name, defaults filled in where they matter.
    pub fn settings(&self) -> &Settings {
        &self.built.settings
    }

    /// The settings in words, `r=8 lora_alpha=16 target_modules=q_proj,v_proj`.
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

    /// What it trains, in the model's order, by the keys of `adapter_model.safetensors`.
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

    /// What it does in a training beside having its weights updated.
    pub fn training_hook(&self) -> Option<&dyn TrainingHook> {
        self.built.training_hook.as_deref()
    }

    /// Number of trained numbers.
    pub fn trainable_parameters(&self) -> u64 {
        self.weights().map(|(_, var)| var.elem_count() as u64).sum()
    }

    /// Numbers that the base does not have.
    pub(crate) fn added_parameters(&self) -> u64 {
        self.built.parts.iter().map(AdapterPart::added).sum()
    }

    /// Trained numbers in the layer at `path`, and those that the base does not have.
    pub(crate) fn parameters_at(&self, path: &str) -> (u64, u64) {
        let is_inside = |part: &&AdapterPart| part.site == path && !part.is_standalone();
        let parts = || self.built.parts.iter().filter(is_inside);
        (parts().map(AdapterPart::trained).sum(), parts().map(AdapterPart::added).sum())
    }

    /// Whether it stands before the input, as vectors or as keys and values, and changes no weight.
    pub(crate) fn is_soft_prompt(&self) -> bool {
        self.built
            .parts
            .iter()
            .any(|part| matches!(part.attachment, Attachment::Prompt(_) | Attachment::Prefix(_)))
    }

    /// The trained tensors that belong to no layer of the base, by name: soft prompts and networks between layers.
    pub(crate) fn standalone_weights(&self) -> impl Iterator<Item = (&str, &Var)> {
        let apart = self.built.parts.iter().filter(|part| part.is_standalone());
        apart.flat_map(|part| &part.weights).map(|(key, var)| (key.as_str(), var))
    }

    /// Hugging Face paths of the layers it sits in.
    pub fn sites(&self) -> Vec<String> {
        self.built.parts.iter().map(|part| part.site.clone()).collect()
    }

    /// Whether it acts in this model now, merged or not.
    pub fn is_active(&self, model: &dyn Model) -> bool {
        match &*self.merge_state() {
            Some(merge) => merge.is_applied(),
            None => slots::is_active(model, &self.name, &self.built.parts),
        }
    }

    /// Lets it act alone (true), or not at all (false). A merged adapter that is switched off gives the base its own weights back
    /// until it is switched on again.
    ///
    /// # Errors
    /// [`PeftError::Layer`] when candle cannot compute a merged weight.
    pub fn set_active(&self, model: &dyn Model, active: bool) -> Result<(), PeftError> {
        match (&mut *self.merge_state(), active) {
            (None, true) => slots::activate_alone(model, &self.name),
            (None, false) => slots::deactivate(model, &self.name),
            (Some(merge), true) => {
                slots::deactivate_all(model);
                merge.apply(model, &self.built.parts)?;
                merge.acts_after = true;
            }
            (Some(merge), false) => {
                merge.restore()?;
                merge.acts_after = false;
            }
        }
        Ok(())
    }

    /// Takes it out of the model, which is then exactly as it was before.
    ///
    /// # Errors
    /// [`PeftError::Layer`] when a merged weight cannot be put back.
    pub fn detach(&self, model: &dyn Model) -> Result<(), PeftError> {
        self.take_back()?;
        slots::remove(model, &self.name, &self.built.parts);
        Ok(())
    }

    /// Puts it into the model again, in place of whatever has its name, and lets it act alone: takes [`Self::detach`], or a replacement, back.
    pub fn reattach(&self, model: &dyn Model) {
        self.install(model);
    }

    /// Adds its change to the base weights, which then act without it. The base's own weights are kept, so that it can be taken back
    /// exactly. What it adds is what it is now: training it further while merged has no effect.
    ///
    /// # Errors
    /// [`PeftError::Refused`] for a method that is no change of weights, when it is merged already, and when another adapter is merged
    /// into one of its layers; [`PeftError::NotFinite`] when a sum is not finite. The model is then as it was.
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

    /// Takes a merge back: every base weight is bit for bit what it was, and the adapter acts beside it again if it did before.
    ///
    /// # Errors
    /// [`PeftError::Refused`] when it is not merged; [`PeftError::Layer`] when candle cannot put a weight back.
    pub fn unmerge(&self, model: &dyn Model) -> Result<(), PeftError> {
        let acts_after = self.merge_state().as_ref().is_some_and(|merge| merge.acts_after);
        if !self.take_back()? {
            return Err(PeftError::NotMerged {
                adapter: self.name.clone(),
                verb: self.spec().verb,
            });
        }
        if acts_after {
            slots::activate_beside(model, &self.name);
        }
        Ok(())
    }

    /// Whether its change is kept in the base weights.
    pub fn is_merged(&self) -> bool {
        self.built.state.is_merged()
    }

    /// Factor on its effect: 1 is as trained, 0 is the base.
    pub fn scale(&self) -> f64 {
        self.built.state.scale()
    }

    /// Sets the factor, also of a merged adapter. Files are written without it.
    ///
    /// # Errors
    /// [`PeftError::Refused`] for a factor that is not finite, and for a soft prompt and weights that train along, whose effect is no sum.
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

    /// Writes `adapter_config.json` and `adapter_model.safetensors` as HF PEFT does, both or neither, into a folder that is created if missing; other files
    /// in it stay.
    ///
    /// # Errors
    /// [`PeftError::Io`] and [`PeftError::File`], a full disk among them; [`PeftError::NotFinite`] for weights not worth keeping.
    pub fn save(&self, directory: &Path, base_name: &str) -> Result<(), PeftError> {
        self.save_with(directory, base_name, &[])
    }

    /// Writes what [`Self::save`] writes and, in the same step, other files by name; a file without contents is removed from the folder.
    ///
    /// # Errors
    /// Those of [`Self::save`]; the folder is then as it was.
    pub fn save_with(
        &self,
        directory: &Path,
        base_name: &str,
        others: &[(&str, Option<Vec<u8>>)],
    ) -> Result<(), PeftError> {
        let (mut config, mut state) = (self.config.clone(), self.state()?);
        if let Some(export) = &self.built.export {
            export.export(&mut config, &mut state)?;
        }
        for (name, tensor) in &state {
            if !weights_file::is_finite(tensor)? {
                return Err(PeftError::NotFinite { name: name.clone() });
            }
        }
        let copies = self
            .built
            .parts
            .iter()
            .flat_map(|part| &part.copies)
            .map(|(key, tensor)| (key.clone(), tensor.clone()));
        let weights = state.into_iter().chain(copies).collect();
        // An old config must never describe new weights, and weights of an earlier adapter must not be found in their place.
        let fill = |staging: &Path| {
            weights_file::write(&staging.join(weights_file::name_for(&config)), &weights)?;
            for (name, contents) in others {
                let path = staging.join(name);
                let written = contents
                    .as_ref()
                    .map_or(Ok(()), |contents| atomic_file::write(&path, contents));
                written.map_err(|source| PeftError::Io { action: "write", path, source })?;
            }
            config.write(staging, base_name)
        };
        let is_stale = |name: &str| {
            weights_file::is_weights(name) || others.iter().any(|(other, _)| *other == name)
        };
        atomic_folder::write(directory, &is_stale, fill, |source| PeftError::Io {
            action: "write",
            path: PathBuf::from(directory),
            source,
        })
    }

    /// Its weights by the keys of `adapter_model.safetensors`: copies, for checkpoints.
    ///
    /// # Errors
    /// [`PeftError::Layer`] when candle cannot copy one.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>, PeftError> {
        let stored = self.built.parts.iter().flat_map(stored_weights::stored);
        stored.map(|(key, var)| Ok((key.clone(), var.as_detached_tensor().copy()?))).collect()
    }

    /// Puts back what [`Self::state`] gave. What is merged stays as it is until the next merge.
    ///
    /// # Errors
    /// [`PeftError::MissingKeys`], [`PeftError::WrongShape`], [`PeftError::NotFinite`]; the weights are then as they were.
    pub fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<(), PeftError> {
        stored_weights::fill(&self.built.parts, state, Path::new("the checkpoint")).map(|_| ())
    }

    /// Puts it into the model under its name, in place of whatever had that name, and lets it act alone.
    pub(crate) fn install(&self, model: &dyn Model) {
        slots::insert(model, &self.name, &self.built.parts);
        slots::activate_alone(model, &self.name);
    }

    /// What it is made of, in the model's order.
    pub(crate) fn parts(&self) -> &[AdapterPart] {
        &self.built.parts
    }

    fn weights(&self) -> impl Iterator<Item = &(String, Var)> {
        self.built.parts.iter().flat_map(|part| &part.weights)
    }

    /// Gives the base its own weights back; false when nothing was merged.
    fn take_back(&self) -> Result<bool, PeftError> {
        let mut state = self.merge_state();
        let Some(merge) = state.as_mut() else { return Ok(false) };
        merge.restore()?;
        *state = None;
        self.built.state.set_merged(false);
        Ok(true)
    }

    pub(crate) fn merge_state(&self) -> MutexGuard<'_, Option<Merge>> {
        // A panic leaves the kept weights whole, so they can still be put back.
        self.merge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Adapter {
    /// An adapter that was replaced or forgotten while merged must not stay in the base for ever.
    fn drop(&mut self) {
        let _ = self.take_back();
    }
}
