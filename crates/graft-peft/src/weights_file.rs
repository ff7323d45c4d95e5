//! The weights in HF PEFT's format. Names, shapes and types are checked in the file headers before
//! any data is read.

mod find;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use graft_nn::{
    DType, Device, Tensor,
    tensor_file::{self, TensorFile},
};

use crate::{PeftError, adapterhub, config_file::ConfigFile};

pub(crate) use find::is_weights;

/// Name of the file.
pub(crate) const NAME: &str = "adapter_model.safetensors";

/// Tensors by key, with shapes that are known before the data is read.
pub(crate) trait Weights {
    /// All keys, sorted.
    fn keys(&self) -> Vec<String>;

    /// Shape and type of the tensor with this key.
    fn shape(&self, key: &str) -> Option<(Vec<usize>, DType)>;

    /// Reads a tensor.
    ///
    /// # Errors
    /// [`PeftError::File`], [`PeftError::MissingKeys`].
    fn tensor(&self, key: &str) -> Result<Tensor, PeftError>;
}

/// The safetensors file of an adapter, or the files that it was split into.
pub(crate) struct WeightsFile {
    /// The file, or the index of several files.
    path: PathBuf,
    files: Vec<TensorFile>,
    /// The index of the file that contains each key.
    places: BTreeMap<String, usize>,
}

impl WeightsFile {
    /// Reads the headers of the weights in a folder.
    ///
    /// # Errors
    /// [`PeftError::Pickled`] if there is only a pickle, [`PeftError::MissingFile`],
    /// [`PeftError::Malformed`], [`PeftError::File`].
    pub(crate) fn open(folder: &Path, config: &ConfigFile) -> Result<Self, PeftError> {
        let found = find::find(folder, config)?;
        let (mut files, mut places) = (Vec::new(), BTreeMap::new());
        for path in &found.files {
            let file = TensorFile::open(path)?;
            for key in file.entries().keys() {
                if places.insert(key.clone(), files.len()).is_some() {
                    let problem = format!("`{key}` is in more than one of the adapter's files");
                    return Err(PeftError::Malformed { path: found.path.clone(), problem });
                }
            }
            files.push(file);
        }
        if let Some((key, _)) = found
            .expected
            .iter()
            .find(|(key, file)| places.get(*key).is_none_or(|place| found.files[*place] != **file))
        {
            let problem = format!("`{key}` is not in the file that the index names");
            return Err(PeftError::Malformed { path: found.path, problem });
        }
        Ok(Self { path: found.path, files, places })
    }

    /// The file, or the index of several files, for errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of values in all tensors.
    pub(crate) fn numbers(&self) -> u64 {
        let of_file = |file: &TensorFile| {
            file.entries()
                .values()
                .map(|entry| entry.shape.iter().product::<usize>() as u64)
                .sum::<u64>()
        };
        self.files.iter().map(of_file).sum()
    }
}

impl Weights for WeightsFile {
    fn keys(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    fn shape(&self, key: &str) -> Option<(Vec<usize>, DType)> {
        let entry = self.files.get(*self.places.get(key)?)?.entries().get(key)?;
        Some((entry.shape.clone(), entry.dtype))
    }

    fn tensor(&self, key: &str) -> Result<Tensor, PeftError> {
        let file = self.places.get(key).and_then(|place| self.files.get(*place));
        let missing = || PeftError::MissingKeys {
            path: self.path.clone(),
            names: vec![key.to_owned()],
            expected: 1,
        };
        Ok(file.ok_or_else(missing)?.tensor(key, &Device::Cpu)?)
    }
}

impl Weights for BTreeMap<String, Tensor> {
    fn keys(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn shape(&self, key: &str) -> Option<(Vec<usize>, DType)> {
        self.get(key).map(|tensor| (tensor.dims().to_vec(), tensor.dtype()))
    }

    fn tensor(&self, key: &str) -> Result<Tensor, PeftError> {
        let missing = || PeftError::MissingKeys {
            path: PathBuf::from("the given tensors"),
            names: vec![key.to_owned()],
            expected: 1,
        };
        self.get(key).cloned().ok_or_else(missing)
    }
}

/// Name of the weights file of a configuration: AdapterHub's name differs.
pub(crate) fn name_for(config: &ConfigFile) -> &'static str {
    if config.text("peft_type") == Some(adapterhub::PEFT_TYPE) { adapterhub::WEIGHTS } else { NAME }
}

/// Writes the weights.
///
/// # Errors
/// [`PeftError::File`], for example on a full disk.
pub(crate) fn write(path: &Path, weights: &BTreeMap<String, Tensor>) -> Result<(), PeftError> {
    Ok(tensor_file::write(path, weights)?)
}

/// Checks the shape and the type of a tensor.
///
/// # Errors
/// [`PeftError::WrongShape`], [`PeftError::WrongType`].
pub(crate) fn check(
    weights: &dyn Weights,
    key: &str,
    expected: &[usize],
    path: &Path,
) -> Result<(), PeftError> {
    let Some((found, dtype)) = weights.shape(key) else { return Ok(()) };
    if found != expected {
        return Err(PeftError::WrongShape {
            path: path.to_owned(),
            name: key.to_owned(),
            expected: expected.to_vec(),
            found,
        });
    }
    if !matches!(dtype, DType::F16 | DType::BF16 | DType::F32 | DType::F64) {
        return Err(PeftError::WrongType {
            path: path.to_owned(),
            name: key.to_owned(),
            found: dtype.as_str(),
        });
    }
    Ok(())
}

/// Reads a tensor as f32.
///
/// # Errors
/// [`PeftError::NotFinite`], [`PeftError::File`].
pub(crate) fn read(weights: &dyn Weights, key: &str) -> Result<Tensor, PeftError> {
    let tensor = weights.tensor(key)?.to_dtype(DType::F32)?;
    if is_finite(&tensor)? {
        Ok(tensor)
    } else {
        Err(PeftError::NotFinite { name: key.to_owned() })
    }
}

/// Whether all values are finite.
pub(crate) fn is_finite(tensor: &Tensor) -> Result<bool, PeftError> {
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.iter().all(|value| value.is_finite()))
}
