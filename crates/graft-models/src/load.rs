//! Loading a model: the embedded one, a Hugging Face folder, a GGUF file, or from the Hub.

mod content;
mod hub;
mod names;
mod original;
mod packing;
mod unused;
mod weights;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use graft_nn::{DType, Device, Model, Tensor, TokenEncoder};
use graft_spec::{Settings, training::MODEL};
use serde_json::Value;

use crate::{
    ModelError, Tokenizer, WeightSpec, assets, families,
    gguf::{self, Gguf, is_gguf},
    side_file, sizes,
};
pub use original::OriginalWeights;

/// Maximum size of a model card in bytes.
const MAX_MODEL_CARD: u64 = 4 << 20;

/// A loaded model with its tokenizer, config and origin.
pub struct Loaded {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// The name given by the user: `tiny`, a folder, a file, or `ORG/NAME`.
    pub name: String,
    /// Absolute path of the folder or GGUF file.
    pub source: PathBuf,
    /// The model card, README.md, if there is one.
    pub card: Option<String>,
    /// config.json, or the equivalent of a GGUF file's metadata.
    pub config_json: Value,
    /// Fingerprint of config.json and the weights, which identifies the base model of a checkpoint.
    pub content_hash: String,
    /// Warnings, such as unused weights.
    pub warnings: Vec<String>,
    /// Number of weights in the files that the model uses, and of all weights in the files.
    pub keys: (usize, usize),
}

/// A model without its tokenizer: the result of [`load_model`].
pub struct ModelFiles {
    /// The model.
    pub model: Arc<dyn Model>,
    /// config.json.
    pub config_json: Value,
    /// Fingerprint of config.json and the weights.
    pub content_hash: String,
    /// Warnings, such as unused weights.
    pub warnings: Vec<String>,
    /// Number of weights in the files that the model uses, and of all weights in the files.
    pub keys: (usize, usize),
}

/// Loads `tiny`, a folder, a GGUF file, or `ORG/NAME` from the Hub. The keys of `settings` are
/// those of [`MODEL`]; `progress` is called with the current item, the amount done and the total.
///
/// # Errors
/// Any [`ModelError`] of loading, with the file and a hint.
pub fn load(
    source: &str,
    settings: &Settings,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Loaded, ModelError> {
    settings.check(MODEL)?;
    let quantization = packing::asked(settings)?;
    let place = find(source, settings, progress)?;
    // Resolved now, because the current folder may change before saving reads this path again.
    let absolute = std::path::absolute(&place).unwrap_or_else(|_| place.clone());
    // Read first, because a wrong folder most likely has no config; it is read again later.
    config_of(&place)?;
    let (tokenizer, tokenizer_path) = match is_gguf(&place) {
        true => (Gguf::open(&place)?.tokenizer()?, place.clone()),
        false => (Tokenizer::from_folder(&place)?, place.join("tokenizer.json")),
    };
    let labels =
        settings.integer(MODEL, "num_labels").and_then(|labels| usize::try_from(labels).ok());
    let files = load_as(&place, dtype(settings), labels, device, progress)?;
    let vocab = files.model.shape().vocab;
    if tokenizer.vocab() > vocab {
        return Err(ModelError::TokenizerMismatch {
            path: tokenizer_path,
            highest: (tokenizer.vocab() - 1) as u32,
            vocab,
        });
    }
    if let Some(quantization) = quantization {
        packing::pack(&*files.model, quantization, progress)?;
    }
    let model_card =
        graft_spec::user_file::read_text(&place.join("README.md"), MAX_MODEL_CARD).ok();
    let ModelFiles { model, config_json, content_hash, warnings, keys } = files;
    Ok(Loaded {
        model,
        tokenizer: Arc::new(tokenizer),
        name: source.to_owned(),
        source: absolute,
        card: model_card,
        config_json,
        content_hash,
        warnings,
        keys,
    })
}

/// Loads the model of a folder or GGUF file without a tokenizer. Matrices are stored as `dtype`,
/// vectors (norms and biases) always as f32.
///
/// # Errors
/// Any [`ModelError`] of loading.
pub fn load_model(
    place: &Path,
    dtype: DType,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<ModelFiles, ModelError> {
    load_as(place, dtype, None, device, progress)
}

/// Loads the model of a folder or file, optionally with a classification head for `labels` classes.
fn load_as(
    place: &Path,
    dtype: DType,
    labels: Option<usize>,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<ModelFiles, ModelError> {
    let (config_json, path) = config_of(place)?;
    check_quantization(&config_json, &path)?;
    let mut weights = weights::open(place)?;
    check_sizes(&config_json, &*weights, &path)?;
    let mut plan = families::plan(&config_json, &path)?;
    if let Some(labels) = labels {
        plan = plan.with_labels(labels)?;
    }
    let expected = plan.weights();
    weights.expect(plan.prefix(), &expected)?;
    let is_fresh =
        |spec: &WeightSpec| weights.shape(&spec.name).is_none() && plan.may_be_fresh(spec);
    let (fresh, stored): (Vec<_>, Vec<_>) = expected.iter().cloned().partition(is_fresh);
    let tied = expected.iter().all(|spec| spec.name != "lm_head.weight");
    let unexpected: Vec<_> = weights
        .check(&stored)?
        .into_iter()
        .filter(|name| !unused::is_ignored(name, tied))
        .collect();
    let (packed, plain): (Vec<_>, Vec<_>) =
        expected.iter().partition(|spec| weights.is_packed(&spec.name));
    sizes::check_memory(
        &plain,
        if packed.is_empty() { 0 } else { weights.bytes() },
        dtype,
        device,
    )?;
    let model = build(&*plan, &*weights, (&expected, &fresh), dtype, device, progress)?;
    if let Some(names) = model
        .label_names()
        .filter(|_| fresh.iter().any(|spec| spec.name.ends_with("classifier.weight")))
    {
        names.mark_fresh();
    }
    let content_hash = content::hash(content_paths(&path, &*weights).into_iter())?;
    let borrowed = unused::foreign_classifier(
        &config_json,
        model.task(),
        stored.iter().any(|spec| spec.name == "classifier.weight"),
    );
    let warnings = unused::warnings(&unexpected, &config_json, model.task())
        .into_iter()
        .chain(borrowed)
        .chain(fresh_warning(&fresh))
        .collect();
    let keys = (stored.len(), stored.len() + unexpected.len());
    Ok(ModelFiles { model, config_json, content_hash, warnings, keys })
}

/// Builds the model from checked weights; those in `fresh` are newly initialized.
fn build(
    plan: &dyn families::FamilyConfig,
    weights: &dyn weights::WeightFiles,
    (expected, fresh): (&[WeightSpec], &[WeightSpec]),
    dtype: DType,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Arc<dyn Model>, ModelError> {
    let mut done = 0;
    let mut packed = BTreeMap::new();
    let model = plan.build(device, &mut |spec| {
        done += 1;
        progress("weights", done, expected.len() as u64);
        if let Some(values) = plan.fresh(spec).filter(|_| fresh.contains(spec)) {
            return Ok(Tensor::from_vec(values, spec.shape.as_slice(), device)
                .map_err(graft_nn::NnError::from)?);
        }
        match spec.shape[..] {
            [d_out, d_in] if weights.is_packed(&spec.name) => {
                packed.insert(spec.name.clone(), weights.packed(&spec.name, (d_out, d_in))?);
                // A placeholder without memory until the model exists.
                let zero = Tensor::zeros((1, 1), dtype, device)
                    .and_then(|zero| zero.broadcast_as((d_out, d_in)));
                Ok(zero.map_err(graft_nn::NnError::from)?)
            }
            [_] => weights.read(&spec.name, DType::F32, device),
            _ => weights.read(&spec.name, dtype, device),
        }
    })?;
    packing::put(&*model, packed, device, weights.place())?;
    Ok(model)
}

/// Compares the sizes in a config with its weight files.
///
/// # Errors
/// [`ModelError::Malformed`].
fn check_sizes(
    config: &Value,
    weights: &dyn weights::WeightFiles,
    path: &Path,
) -> Result<(), ModelError> {
    sizes::check(config, weights.stored())
        .map_err(|problem| ModelError::Malformed { path: path.to_owned(), problem })
}

/// The folder or GGUF file of a source; downloads a model of the Hub if needed.
fn find(
    source: &str,
    settings: &Settings,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<PathBuf, ModelError> {
    let folder = expanded(source);
    if source == "tiny" && !folder.join("config.json").is_file() {
        let folder = assets().join("tiny");
        return if folder.join("config.json").is_file() {
            Ok(folder)
        } else {
            Err(ModelError::NoTiny { folder })
        };
    }
    if is_gguf(&folder) && folder.exists() && !folder.is_dir() {
        return Ok(folder);
    }
    if folder.is_dir() {
        return only_gguf(folder);
    }
    if hub::is_repository(source) {
        return hub::fetch(
            source,
            &settings.text(MODEL, "revision").unwrap_or_else(|| "main".to_owned()),
            progress,
        );
    }
    let known = known_models();
    let nearest = nearest(source, &known);
    Err(ModelError::UnknownModel { name: source.to_owned(), nearest, known })
}

/// A folder, or the only GGUF file in it if it has no config.json.
fn only_gguf(folder: PathBuf) -> Result<PathBuf, ModelError> {
    if folder.join("config.json").is_file() {
        return Ok(folder);
    }
    let mut files = gguf::in_folder(&folder);
    match files.len() {
        0 => Ok(folder),
        1 => Ok(files.remove(0)),
        _ => {
            let names = files
                .iter()
                .map(|file| format!("%model load {}", file.display()))
                .collect::<Vec<_>>()
                .join(", ");
            Err(ModelError::MissingFile {
                folder,
                file: "config.json, but several GGUF files".to_owned(),
                hint: format!("load one of them: {names}"),
            })
        }
    }
}

/// Expands `~/` to the home folder.
fn expanded(source: &str) -> PathBuf {
    match (source.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(source),
    }
}

/// `tiny`, and the folders with a config.json and GGUF files in the current folder.
fn known_models() -> Vec<String> {
    let here = std::fs::read_dir(".").into_iter().flatten().flatten();
    let is_model = |path: &Path| path.join("config.json").is_file() || is_gguf(path);
    let mut folders: Vec<_> = here
        .filter(|entry| is_model(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    std::iter::once("tiny".to_owned()).chain(folders).collect()
}

/// The most similar known name, if it is similar enough.
fn nearest(word: &str, known: &[String]) -> Option<String> {
    let likeness = |candidate: &String| {
        strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase())
    };
    known
        .iter()
        .filter(|candidate| likeness(candidate) >= 0.5)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .cloned()
}

fn dtype(settings: &Settings) -> DType {
    match settings.text(MODEL, "dtype").as_deref() {
        Some("bf16") => DType::BF16,
        Some("f16") => DType::F16,
        _ => DType::F32,
    }
}

/// Returns an error for weights that are quantized with a library other than bitsandbytes.
fn check_quantization(config: &Value, path: &Path) -> Result<(), ModelError> {
    let method = config.get("quantization_config").map(|quantization| {
        quantization.get("quant_method").and_then(Value::as_str).unwrap_or("bitsandbytes")
    });
    match method {
        None | Some("bitsandbytes") => Ok(()),
        Some(other) => {
            let problem = format!(
                "its weights are quantized with `{other}`, which is not supported (bitsandbytes nf4 and int8 are)"
            );
            Err(ModelError::Malformed { path: path.to_owned(), problem })
        }
    }
}

/// The config of a folder or GGUF file, and its path.
fn config_of(place: &Path) -> Result<(Value, PathBuf), ModelError> {
    if is_gguf(place) {
        return Ok((Gguf::open(place)?.config()?, place.to_owned()));
    }
    let path = place.join("config.json");
    Ok((read_config(place, &path)?, path))
}

/// The files that identify a model, each once.
fn content_paths<'a>(config: &'a Path, weights: &'a dyn weights::WeightFiles) -> Vec<&'a Path> {
    let mut paths = vec![config];
    paths.extend(weights.paths().into_iter().filter(|path| *path != config));
    paths
}

fn read_config(folder: &Path, path: &Path) -> Result<Value, ModelError> {
    if !path.exists() {
        let hint = if folder.join("adapter_config.json").is_file() {
            "this is an adapter: load its base model first, then %lora load DIR"
        } else {
            "a model folder contains config.json, tokenizer.json and model.safetensors"
        };
        return Err(ModelError::MissingFile {
            folder: folder.to_owned(),
            file: "config.json".to_owned(),
            hint: hint.to_owned(),
        });
    }
    side_file::json(path)
}

fn fresh_warning(specs: &[WeightSpec]) -> Option<String> {
    let layers: BTreeSet<_> = specs
        .iter()
        .filter_map(|spec| spec.name.rsplit_once('.'))
        .map(|(layer, _)| format!("`{layer}`"))
        .collect();
    let layers = layers.into_iter().collect::<Vec<_>>().join(" and ");
    (!layers.is_empty()).then(|| format!("the checkpoint has no weights for {layers}; they were newly initialized and must be trained before use"))
}

#[cfg(test)]
mod tests;
