//! An adapter in files and checkpoints.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use graft_nn::{Model, Tensor, atomic_file, atomic_folder};

use super::Adapter;
use crate::{PeftError, own_weights, stored_weights, weights_file};

/// What is saved together with an adapter.
#[derive(Clone, Copy, Default)]
pub struct Extras<'a> {
    /// Other files by name. A file without contents is removed from the folder.
    pub files: &'a [(&'a str, Option<Vec<u8>>)],
    /// The model, if its vocabulary was resized. As in HF PEFT, the file then contains the
    /// embedding and the head, so that it can be loaded on the model as it was before.
    pub resized: Option<&'a dyn Model>,
}

impl Adapter {
    /// Writes `adapter_config.json` and `adapter_model.safetensors` in HF PEFT's format, both or
    /// neither, to a folder. The folder is created if it is missing; other files in it are not
    /// changed.
    ///
    /// # Errors
    /// [`PeftError::Io`] and [`PeftError::File`], for example on a full disk;
    /// [`PeftError::NotFinite`] if a weight is NaN or infinite.
    pub fn save(&self, directory: &Path, base_name: &str) -> Result<(), PeftError> {
        self.save_with(directory, base_name, &Extras::default())
    }

    /// Saves the adapter like [`Self::save`] and, in the same atomic step, writes other files and
    /// tensors.
    ///
    /// # Errors
    /// Those of [`Self::save`]; the folder is then unchanged.
    pub fn save_with(
        &self,
        directory: &Path,
        base_name: &str,
        extras: &Extras<'_>,
    ) -> Result<(), PeftError> {
        let others = extras.files;
        let (mut config, mut state) = (self.config.clone(), self.state()?);
        if let Some(export) = &self.built.export {
            export.export(&mut config, &mut state)?;
        }
        check_finite(&state)?;
        let copies = self
            .built
            .parts
            .iter()
            .flat_map(|part| &part.copies)
            .map(|(key, tensor)| (key.clone(), tensor.clone()));
        let mut weights: BTreeMap<String, Tensor> = state.into_iter().chain(copies).collect();
        if let Some(model) = extras.resized {
            let vocabulary = own_weights::with_vocabulary(model, weights.keys());
            weights.extend(vocabulary);
        }
        // The two files must always match: an old configuration must not describe new weights, and
        // weights of an earlier adapter must not remain.
        let fill = |staging: &Path| {
            weights_file::write(&staging.join(weights_file::name_for(&config)), &weights)?;
            write_others(staging, others)?;
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

    /// A copy of the weights, by their keys in `adapter_model.safetensors`, for checkpoints.
    ///
    /// # Errors
    /// [`PeftError::Layer`] if a weight cannot be copied.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>, PeftError> {
        let stored = self.built.parts.iter().flat_map(stored_weights::stored);
        stored.map(|(key, var)| Ok((key.clone(), var.as_detached_tensor().copy()?))).collect()
    }

    /// Restores weights that [`Self::state`] returned. A merged adapter applies them at the next
    /// merge.
    ///
    /// # Errors
    /// [`PeftError::MissingKeys`], [`PeftError::WrongShape`], [`PeftError::NotFinite`]; the weights
    /// are then unchanged.
    pub fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<(), PeftError> {
        stored_weights::fill(&self.built.parts, state, Path::new("the checkpoint")).map(|_| ())
    }
}

/// Checks that no weight is NaN or infinite.
fn check_finite(state: &BTreeMap<String, Tensor>) -> Result<(), PeftError> {
    for (name, tensor) in state {
        if !weights_file::is_finite(tensor)? {
            return Err(PeftError::NotFinite { name: name.clone() });
        }
    }
    Ok(())
}

/// Writes the other files of a save into `staging`, except those without contents.
fn write_others(staging: &Path, others: &[(&str, Option<Vec<u8>>)]) -> Result<(), PeftError> {
    for (name, contents) in others {
        let path = staging.join(name);
        let written =
            contents.as_ref().map_or(Ok(()), |contents| atomic_file::write(&path, contents));
        written.map_err(|source| PeftError::Io { action: "write", path, source })?;
    }
    Ok(())
}
