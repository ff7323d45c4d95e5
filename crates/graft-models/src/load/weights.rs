//! The interface of weight files: a folder of safetensors files, or a GGUF file.

use std::{collections::BTreeSet, path::Path};

use graft_nn::{DType, Device, Packed, Tensor};

use crate::{ModelError, WeightSpec, gguf::Gguf, sizes::Stored};

/// A source of weights by the names that the config requires.
pub(super) trait WeightFiles {
    /// The folder or file, for messages.
    fn place(&self) -> &Path;

    /// The files.
    fn paths(&self) -> Vec<&Path>;

    /// Number and largest dimension of the stored tensors.
    fn stored(&self) -> Stored;

    /// Maps stored names to the weights that the config requires; `prefix` is that of the family.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] if two stored tensors map to the same weight.
    fn expect(&mut self, prefix: &str, expected: &[WeightSpec]) -> Result<(), ModelError>;

    /// Size of the files in bytes.
    fn bytes(&self) -> u64 {
        self.paths()
            .into_iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|metadata| metadata.len())
            .sum()
    }

    /// The stored shape of a weight; `None` if it is missing.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// Names of weights that the config does not require.
    fn others(&self, wanted: &BTreeSet<&str>) -> Vec<String>;

    /// Reads one weight and converts it to `dtype`.
    ///
    /// # Errors
    /// [`ModelError::File`], [`ModelError::Malformed`].
    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, ModelError>;

    /// Whether the weight of a linear layer is stored quantized.
    fn is_packed(&self, name: &str) -> bool;

    /// Whether the stored shape is that of the quantized codes instead of that of the weight.
    fn is_reshaped(&self, name: &str) -> bool;

    /// Reads a weight that is stored quantized.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] if its tensors are inconsistent.
    fn packed(&self, name: &str, dims: (usize, usize)) -> Result<Packed, ModelError>;

    /// Compares names and shapes with those that the config requires, and returns the names of
    /// unused weights.
    ///
    /// # Errors
    /// [`ModelError::MissingWeights`] and [`ModelError::WrongShape`].
    fn check(&self, expected: &[WeightSpec]) -> Result<Vec<String>, ModelError> {
        let missing: Vec<_> = expected
            .iter()
            .filter(|spec| self.shape(&spec.name).is_none())
            .map(|spec| spec.name.clone())
            .collect();
        if !missing.is_empty() {
            return Err(ModelError::MissingWeights {
                folder: self.place().to_owned(),
                names: missing,
                expected: expected.len(),
            });
        }
        for spec in expected {
            let found = self.shape(&spec.name).unwrap_or_default();
            if found != spec.shape && !self.is_reshaped(&spec.name) {
                return Err(ModelError::WrongShape {
                    folder: self.place().to_owned(),
                    name: spec.name.clone(),
                    expected: spec.shape.clone(),
                    found,
                });
            }
        }
        Ok(self.others(&expected.iter().map(|spec| spec.name.as_str()).collect()))
    }
}

impl WeightFiles for Gguf {
    fn place(&self) -> &Path {
        self.path()
    }

    fn paths(&self) -> Vec<&Path> {
        vec![self.path()]
    }

    fn stored(&self) -> Stored {
        self.stored()
    }

    /// The names in GGUF files have no variants.
    fn expect(&mut self, _prefix: &str, _expected: &[WeightSpec]) -> Result<(), ModelError> {
        Ok(())
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shape(name)
    }

    fn others(&self, wanted: &BTreeSet<&str>) -> Vec<String> {
        self.others(wanted)
    }

    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, ModelError> {
        self.read(name, dtype, device)
    }

    fn is_packed(&self, name: &str) -> bool {
        self.is_packed(name)
    }

    /// GGUF files store the shape of the weight itself.
    fn is_reshaped(&self, _name: &str) -> bool {
        false
    }

    fn packed(&self, name: &str, dims: (usize, usize)) -> Result<Packed, ModelError> {
        self.packed(name, dims)
    }
}
