//! `adapter_model.safetensors`: the weights under HF PEFT's keys, checked before anything is changed.

use std::{collections::BTreeMap, path::Path};

use graft_nn::{DType, Device, Tensor, Var, tensor_file};

use crate::{PeftError, adapterhub, config_file::ConfigFile, methods::Part};

/// Name of the file.
pub(crate) const NAME: &str = "adapter_model.safetensors";
const PICKLED: [&str; 2] = ["adapter_model.bin", "pytorch_adapter.bin"];

/// What the file of that configuration's weights is called: AdapterHub has a name of its own.
pub(crate) fn name_for(config: &ConfigFile) -> &'static str {
    if config.text("peft_type") == Some(adapterhub::PEFT_TYPE) { adapterhub::WEIGHTS } else { NAME }
}

/// Reads every tensor of a folder's file.
///
/// # Errors
/// [`PeftError::Pickled`] when there is only a pickle, [`PeftError::MissingFile`], [`PeftError::File`].
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, Tensor>, PeftError> {
    let path = [NAME, adapterhub::WEIGHTS].map(|name| folder.join(name)).into_iter().find(|path| path.is_file()).unwrap_or_else(|| folder.join(NAME));
    if !path.is_file() {
        if let Some(file) = PICKLED.into_iter().find(|file| folder.join(file).is_file()) {
            return Err(PeftError::Pickled { folder: folder.to_owned(), file });
        }
        let hint = "its adapter_config.json is there; copy the weights as well".to_owned();
        return Err(PeftError::MissingFile { folder: folder.to_owned(), file: NAME, hint });
    }
    Ok(tensor_file::TensorFile::open(&path)?.tensors(&Device::Cpu)?)
}

/// Writes the weights.
///
/// # Errors
/// [`PeftError::File`], a full disk among them.
pub(crate) fn write(path: &Path, weights: &BTreeMap<String, Tensor>) -> Result<(), PeftError> {
    Ok(tensor_file::write(path, weights)?)
}

/// Puts tensors into the variables of `parts`, all or none; the keys that belong to none come back. `path` is for errors.
///
/// # Errors
/// [`PeftError::MissingKeys`], [`PeftError::WrongShape`], [`PeftError::NotFinite`].
pub(crate) fn fill(parts: &[Part], tensors: &BTreeMap<String, Tensor>, path: &Path) -> Result<Vec<String>, PeftError> {
    let wanted: BTreeMap<&str, &Var> = parts.iter().flat_map(stored).map(|(key, var)| (key.as_str(), var)).collect();
    let missing: Vec<_> = wanted.keys().filter(|key| !tensors.contains_key(**key)).map(|key| (*key).to_owned()).collect();
    if !missing.is_empty() {
        return Err(PeftError::MissingKeys { path: path.to_owned(), names: missing, expected: wanted.len() });
    }
    let mut ready = Vec::new();
    for (key, var) in &wanted {
        let Some(tensor) = tensors.get(*key) else { continue };
        if tensor.dims() != var.dims() {
            let (expected, found) = (var.dims().to_vec(), tensor.dims().to_vec());
            return Err(PeftError::WrongShape { path: path.to_owned(), name: (*key).to_owned(), expected, found });
        }
        let tensor = tensor.to_dtype(DType::F32)?.to_device(var.device())?;
        if !is_finite(&tensor)? {
            return Err(PeftError::NotFinite { name: (*key).to_owned() });
        }
        ready.push((*var, tensor));
    }
    for (var, tensor) in ready {
        var.set(&tensor)?;
    }
    Ok(tensors.keys().filter(|key| !wanted.contains_key(key.as_str())).cloned().collect())
}

/// Everything of a part that its file holds: weights and constants.
pub(crate) fn stored(part: &Part) -> impl Iterator<Item = &(String, Var)> {
    part.weights.iter().chain(&part.constants)
}

/// The keys of base weights that were written along and are those of this model: nothing is lost when they are left out.
///
/// # Errors
/// [`PeftError::Layer`] when candle cannot compare them.
pub(crate) fn copies(parts: &[Part], tensors: &BTreeMap<String, Tensor>) -> Result<Vec<String>, PeftError> {
    let mut same = Vec::new();
    for (key, own) in parts.iter().flat_map(|part| &part.copies) {
        if let Some(theirs) = tensors.get(key).filter(|theirs| theirs.dims() == own.dims()) {
            let own = own.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
            let difference = (theirs.to_dtype(DType::F32)? - own)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            if difference < 1e-2 {
                same.push(key.clone());
            }
        }
    }
    Ok(same)
}

/// Whether every number is finite.
pub(crate) fn is_finite(tensor: &Tensor) -> Result<bool, PeftError> {
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.iter().all(|value| value.is_finite()))
}
