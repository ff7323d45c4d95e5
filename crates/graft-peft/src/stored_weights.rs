//! Loading of an adapter's saved tensors into its variables.

use std::{collections::BTreeMap, path::Path};

use graft_nn::Var;

use crate::{
    PeftError,
    method::AdapterPart,
    weights_file::{Weights, check, read},
};

/// Sets the variables of `parts` to the tensors of a file, all or none. Returns the keys that
/// belong to no part. `path` is for errors.
///
/// # Errors
/// [`PeftError::MissingKeys`], [`PeftError::WrongShape`], [`PeftError::WrongType`],
/// [`PeftError::NotFinite`].
pub(crate) fn fill(
    parts: &[AdapterPart],
    weights: &dyn Weights,
    path: &Path,
) -> Result<Vec<String>, PeftError> {
    let wanted: BTreeMap<&str, &Var> =
        parts.iter().flat_map(stored).map(|(key, var)| (key.as_str(), var)).collect();
    let missing: Vec<_> = wanted
        .keys()
        .filter(|key| weights.shape(key).is_none())
        .map(|key| (*key).to_owned())
        .collect();
    if !missing.is_empty() {
        return Err(PeftError::MissingKeys {
            path: path.to_owned(),
            names: missing,
            expected: wanted.len(),
        });
    }
    for (key, var) in &wanted {
        check(weights, key, var.dims(), path)?;
    }
    let mut ready = Vec::new();
    for (key, var) in &wanted {
        ready.push((*var, read(weights, key)?.to_device(var.device())?));
    }
    for (var, tensor) in ready {
        var.set(&tensor)?;
    }
    Ok(weights.keys().into_iter().filter(|key| !wanted.contains_key(key.as_str())).collect())
}

/// All saved tensors of a part: weights and constants.
pub(crate) fn stored(part: &AdapterPart) -> impl Iterator<Item = &(String, Var)> {
    part.weights.iter().chain(&part.constants)
}
