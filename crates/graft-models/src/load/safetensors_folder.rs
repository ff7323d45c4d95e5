//! The safetensors files of a model folder: `model.safetensors`, or shards with their index.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use graft_nn::{DType, Device, Packed, Tensor, tensor_file::TensorFile};
use serde_json::Value;

use super::{names, weights::WeightFiles};
use crate::{ModelError, WeightSpec, bnb, finite, side_file, sizes::Stored};

/// The safetensors files of a folder.
pub(super) struct SafetensorsFolder {
    folder: PathBuf,
    files: Vec<TensorFile>,
    /// By required name: the index of the file, and the stored name.
    places: BTreeMap<String, (usize, String)>,
}

impl SafetensorsFolder {
    /// Opens the safetensors files of a folder and reads their headers.
    ///
    /// # Errors
    /// [`ModelError::MissingFile`], [`ModelError::Pickled`], [`ModelError::Malformed`] and
    /// [`ModelError::File`].
    pub(super) fn open(folder: &Path) -> Result<Self, ModelError> {
        let index = folder.join("model.safetensors.index.json");
        let names = if folder.join("model.safetensors").exists() {
            vec!["model.safetensors".to_owned()]
        } else if index.exists() {
            shards(&index)?
        } else {
            return Err(no_weights(folder));
        };
        let mut weights =
            Self { folder: folder.to_owned(), files: Vec::new(), places: BTreeMap::new() };
        for name in names {
            let path = folder.join(&name);
            if !path.exists() {
                let hint = format!("{} lists it; copy or download it as well", index.display());
                return Err(ModelError::MissingFile {
                    folder: folder.to_owned(),
                    file: name,
                    hint,
                });
            }
            weights.files.push(TensorFile::open(&path)?);
        }
        Ok(weights)
    }

    fn holds(&self, stored: &str) -> bool {
        self.files.iter().any(|file| file.entries().contains_key(stored))
    }

    /// The file of a weight, and its stored name.
    fn find(&self, name: &str) -> Option<(&TensorFile, &str)> {
        let (file, stored) = self.places.get(name)?;
        Some((self.files.get(*file)?, stored))
    }
}

impl WeightFiles for SafetensorsFolder {
    fn place(&self) -> &Path {
        &self.folder
    }

    /// In the order of the index.
    fn paths(&self) -> Vec<&Path> {
        self.files.iter().map(TensorFile::path).collect()
    }

    fn stored(&self) -> Stored {
        Stored::of(
            self.files
                .iter()
                .flat_map(|file| file.entries().values())
                .map(|entry| entry.shape.as_slice()),
        )
    }

    /// Checkpoints of a bare trunk have names without `prefix`, those of a whole model have it;
    /// both map to the expected name.
    fn expect(&mut self, prefix: &str, expected: &[WeightSpec]) -> Result<(), ModelError> {
        let wanted: BTreeSet<_> = expected.iter().map(|spec| spec.name.as_str()).collect();
        self.places.clear();
        for (index, file) in self.files.iter().enumerate() {
            for stored in file.entries().keys() {
                let name = names::canonical(stored, prefix, &wanted);
                if let Some((_, other)) = self.places.insert(name.clone(), (index, stored.clone()))
                {
                    let problem =
                        format!("`{other}` and `{stored}` are both the same weight `{name}`");
                    return Err(ModelError::Malformed { path: self.folder.clone(), problem });
                }
            }
        }
        Ok(())
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (file, stored) = self.find(name)?;
        Some(file.entries().get(stored)?.shape.clone())
    }

    fn others(&self, wanted: &BTreeSet<&str>) -> Vec<String> {
        self.places
            .keys()
            .filter(|name| !wanted.contains(name.as_str()) && !bnb::is_auxiliary(name))
            .cloned()
            .collect()
    }

    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, ModelError> {
        let Some((file, stored)) = self.find(name) else {
            return Err(ModelError::MissingWeights {
                folder: self.folder.clone(),
                names: vec![name.to_owned()],
                expected: 1,
            });
        };
        let tensor = file.tensor(stored, &Device::Cpu)?;
        if tensor.dtype() == DType::U8 {
            let problem = format!(
                "`{stored}` is stored as bytes, but the scales that bitsandbytes writes are missing"
            );
            return Err(ModelError::Malformed { path: file.path().to_owned(), problem });
        }
        if !finite::is_finite(&tensor).map_err(graft_nn::NnError::from)? {
            return Err(ModelError::NotFiniteWeight {
                path: file.path().to_owned(),
                name: stored.to_owned(),
            });
        }
        Ok(tensor
            .to_dtype(dtype)
            .and_then(|tensor| tensor.to_device(device))
            .map_err(graft_nn::NnError::from)?)
    }

    /// Quantized by bitsandbytes.
    fn is_packed(&self, name: &str) -> bool {
        let stored = self.find(name).map(|(_, stored)| stored.to_owned());
        stored.is_some_and(|stored| bnb::marks(&stored).iter().any(|mark| self.holds(mark)))
    }

    /// bitsandbytes stores 4-bit weights as a column of codes.
    fn is_reshaped(&self, name: &str) -> bool {
        self.is_packed(name)
    }

    fn packed(&self, name: &str, dims: (usize, usize)) -> Result<Packed, ModelError> {
        let (path, stored) = self.find(name).map_or_else(
            || (self.folder.clone(), name.to_owned()),
            |(file, stored)| (file.path().to_owned(), stored.to_owned()),
        );
        let read = |name: &str| {
            self.files
                .iter()
                .find(|file| file.entries().contains_key(name))?
                .tensor(name, &Device::Cpu)
                .ok()
        };
        bnb::read(&stored, dims, &read).map_err(|problem| ModelError::Malformed { path, problem })
    }
}

/// The names of the shards in an index, each once. Names with a path are rejected, because they
/// could point outside the folder.
pub(crate) fn shards(index: &Path) -> Result<Vec<String>, ModelError> {
    let malformed = |problem: &str| ModelError::Malformed {
        path: index.to_owned(),
        problem: problem.to_owned(),
    };
    let json = side_file::json(index)?;
    let map = json
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| malformed("it has no `weight_map`"))?;
    let names: BTreeSet<_> = map.values().filter_map(Value::as_str).collect();
    if let Some(name) =
        names.iter().find(|name| name.contains(['/', '\\']) || !name.ends_with(".safetensors"))
    {
        return Err(malformed(&format!(
            "it lists `{name}`, which is not a safetensors file of this folder"
        )));
    }
    if names.is_empty() {
        return Err(malformed("its `weight_map` is empty"));
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn no_weights(folder: &Path) -> ModelError {
    let names: BTreeSet<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let pickle = names
        .iter()
        .find(|name| [".bin", ".pt", ".pth", ".ckpt"].iter().any(|ending| name.ends_with(ending)));
    match pickle {
        Some(file) => ModelError::Pickled { folder: folder.to_owned(), file: file.clone() },
        None => ModelError::MissingFile {
            folder: folder.to_owned(),
            file: "model.safetensors".to_owned(),
            hint: "a model folder contains config.json, tokenizer.json and model.safetensors \
                   (or shards with model.safetensors.index.json)"
                .to_owned(),
        },
    }
}
