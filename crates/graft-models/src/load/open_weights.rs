//! The kind of the weight files of a model.

use std::path::Path;

use super::{safetensors_folder::SafetensorsFolder, weights::WeightFiles};
use crate::{
    ModelError,
    gguf::{Gguf, is_gguf},
};

/// Opens the weight files of a folder, or a GGUF file, and reads their headers.
///
/// # Errors
/// [`ModelError::MissingFile`], [`ModelError::Pickled`], [`ModelError::Malformed`] and
/// [`ModelError::File`].
pub(super) fn open_weights(place: &Path) -> Result<Box<dyn WeightFiles>, ModelError> {
    if is_gguf(place) {
        Ok(Box::new(Gguf::open(place)?))
    } else {
        Ok(Box::new(SafetensorsFolder::open(place)?))
    }
}
