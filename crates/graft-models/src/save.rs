//! Writing a model as a Hugging Face folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use graft_nn::{DType, Layer, Model, NnError, Parameter, Site, Tensor, Weight, atomic_file, tensor_file};
use serde_json::Value;

use crate::{ModelError, Tokenizer, bnb};

/// What a model folder is made of.
pub struct FolderParts<'a> {
    /// The weights.
    pub model: &'a dyn Model,
    /// How matrices are stored; vectors stay in 32 bits.
    pub dtype: DType,
    /// config.json.
    pub config: &'a Value,
    /// tokenizer.json, and generation_config.json with the tokens that begin and end a text.
    pub tokenizer: Option<&'a Tokenizer>,
    /// More files by name, such as README.md.
    pub others: &'a [(&'a str, String)],
}

/// Writes the folder, made if missing. Each file is whole or as it was; config.json comes last, so that a folder with one is complete.
///
/// # Errors
/// [`ModelError::Io`] and [`ModelError::File`], a full disk among them.
pub fn save_folder(folder: &Path, parts: &FolderParts<'_>) -> Result<(), ModelError> {
    let failed = |path: &Path, source| ModelError::Io { action: "write", path: PathBuf::from(path), source };
    std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        atomic_file::write(&path, text.as_bytes()).map_err(|source| failed(&path, source))
    };
    let (stored, quantization) = tensors(parts.model, parts.dtype)?;
    tensor_file::write(&folder.join("model.safetensors"), &stored)?;
    if let Some(tokenizer) = parts.tokenizer {
        write("tokenizer.json", &tokenizer.to_json()?)?;
        write("generation_config.json", &format!("{:#}\n", serde_json::json!({ "eos_token_id": tokenizer.ends() })))?;
    }
    for (name, text) in parts.others {
        write(name, text)?;
    }
    let mut config = parts.config.clone();
    if let Some(object) = config.as_object_mut() {
        let name = match parts.dtype {
            DType::BF16 => "bfloat16",
            DType::F16 => "float16",
            _ => "float32",
        };
        // transformers 4 reads the first spelling, 5 the second.
        object.remove("quantization_config");
        object.extend(quantization.map(|quantization| ("quantization_config".to_owned(), quantization)));
        object.insert("torch_dtype".to_owned(), name.into());
        object.insert("dtype".to_owned(), name.into());
    }
    write("config.json", &format!("{config:#}\n"))
}

/// The tensors by name, and `quantization_config` where some of them are packed.
fn tensors(model: &dyn Model, dtype: DType) -> Result<(BTreeMap<String, Tensor>, Option<Value>), NnError> {
    let sites = model.sites();
    let is_turned = |site: &&Site<'_>| matches!(site.layer, Layer::Linear(linear) if linear.fan_in_fan_out());
    let turned: BTreeSet<_> = sites.iter().filter(is_turned).map(|site| format!("{}.weight", site.path)).collect();
    let stored = |parameter: &Parameter| -> Result<Tensor, NnError> {
        let tensor = parameter.tensor().detach();
        let tensor = if turned.contains(parameter.path()) { tensor.t()?.contiguous()? } else { tensor };
        Ok(if tensor.rank() == 1 { tensor.to_dtype(DType::F32)? } else { tensor.to_dtype(dtype)? })
    };
    let (mut all, mut doubled) = (BTreeMap::new(), None);
    for parameter in model.parameters() {
        match parameter.weight() {
            // GPT-2's weights lie the other way round in files, where they are packed as well.
            Weight::Packed(packed) if !turned.contains(parameter.path()) => match bnb::tensors(parameter.path(), &packed)? {
                Some(tensors) => {
                    doubled = Some(tensors.iter().any(|(name, _)| name.ends_with(".nested_absmax")));
                    all.extend(tensors);
                }
                None => drop(all.insert(parameter.path().to_owned(), stored(parameter)?)),
            },
            _ => drop(all.insert(parameter.path().to_owned(), stored(parameter)?)),
        }
    }
    let quantization = doubled.map(|double| {
        let is_plain =
            |site: &&Site<'_>| matches!(site.layer, Layer::Linear(linear) if all.get(linear.weight().path()).is_some_and(|tensor| tensor.dtype() != DType::U8));
        // transformers would pack a tied head too if it were not told.
        let unpacked = sites.iter().filter(is_plain).map(|site| site.path).chain(model.tied_head().map(|head| head.path()));
        bnb::config(double, &unpacked.map(str::to_owned).collect::<Vec<_>>())
    });
    Ok((all, quantization))
}
