//! `%model load`: the embedded model, a Hugging Face folder, or the Hub.

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

/// Most bytes of a model card.
const MOST_CARD: u64 = 4 << 20;

/// A loaded model with everything that came with it.
pub struct Loaded {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// What the user called it: `tiny`, the folder, `ORG/NAME`.
    pub name: String,
    /// The folder or GGUF file that was read, as an absolute path.
    pub source: PathBuf,
    /// The model card, README.md, where there is one.
    pub card: Option<String>,
    /// config.json, or what a GGUF file says in its place.
    pub config_json: Value,
    /// Fingerprint of config.json and the weights, by which a checkpoint knows its base again.
    pub content_hash: String,
    /// What was odd but harmless, such as weights that the config does not ask for.
    pub warnings: Vec<String>,
    /// Weights of the files that the model took, and all that they hold.
    pub keys: (usize, usize),
}

/// A model without its tokenizer: what [`load_model`] gives.
pub struct ModelFiles {
    /// The model.
    pub model: Arc<dyn Model>,
    /// config.json.
    pub config_json: Value,
    /// Fingerprint of config.json and the weights.
    pub content_hash: String,
    /// What was odd but harmless.
    pub warnings: Vec<String>,
    /// Weights of the files that the model took, and all that they hold.
    pub keys: (usize, usize),
}

/// Loads `tiny`, a folder, a GGUF file, or `ORG/NAME` of the Hub. Keys are [`MODEL`]'s; `progress` is called with a file or weight, what is done and what there is.
///
/// # Errors
/// Any [`ModelError`] of loading; each names the file and what to do.
pub fn load(
    source: &str,
    settings: &Settings,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Loaded, ModelError> {
    settings.check(MODEL)?;
    let quantization = packing::asked(settings)?;
    let place = find(source, settings, progress)?;
    // Before the long part: `%cd` may change what a relative path means, and saving reads this place again.
    let lasting = std::path::absolute(&place).unwrap_or_else(|_| place.clone());
    // The config is the first thing a wrong folder lacks, and reading it twice costs nothing.
    config_of(&place)?;
    let (tokenizer, tokens_from) = match is_gguf(&place) {
        true => (Gguf::open(&place)?.tokenizer()?, place.clone()),
        false => (Tokenizer::from_folder(&place)?, place.join("tokenizer.json")),
    };
    let labels =
        settings.integer(MODEL, "num_labels").and_then(|labels| usize::try_from(labels).ok());
    let files = load_as(&place, dtype(settings), labels, device, progress)?;
    let vocab = files.model.shape().vocab;
    if tokenizer.vocab() > vocab {
        return Err(ModelError::TokenizerMismatch {
            path: tokens_from,
            highest: (tokenizer.vocab() - 1) as u32,
            vocab,
        });
    }
    if let Some(quantization) = quantization {
        packing::pack(&*files.model, quantization, progress)?;
    }
    let card = graft_spec::user_file::read_text(&place.join("README.md"), MOST_CARD).ok();
    let ModelFiles { model, config_json, content_hash, warnings, keys } = files;
    Ok(Loaded {
        model,
        tokenizer: Arc::new(tokenizer),
        name: source.to_owned(),
        source: lasting,
        card,
        config_json,
        content_hash,
        warnings,
        keys,
    })
}

/// Loads the model of a folder or GGUF file; it needs no tokenizer there. Matrices are kept as `dtype`, vectors (norms and biases) always in 32 bits.
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

/// Loads the model of a folder or file, with a head for so many classes where that is asked for.
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
        .filter(|name| !unused::is_needless(name, tied))
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
    let borrowed = unused::borrowed_classifier(
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

/// Makes the model of weights that have been compared with what it expects; those of `fresh` are in no file.
fn build(
    plan: &dyn families::FamilyConfig,
    weights: &dyn weights::WeightFiles,
    (expected, fresh): (&[WeightSpec], &[WeightSpec]),
    dtype: DType,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Arc<dyn Model>, ModelError> {
    let (mut done, mut packed) = (0, BTreeMap::new());
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
                // Holds the place until the model is there; it takes no memory.
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

/// Refuses sizes in a config that its weight files contradict.
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

/// The folder that a source means.
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

/// A folder, or the one GGUF file in it where there is nothing else.
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

/// `~/` is the home folder, as in a shell.
fn expanded(source: &str) -> PathBuf {
    match (source.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(source),
    }
}

/// `tiny`, and what can be loaded here: folders that hold a config.json, and GGUF files.
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

/// The known word that was probably meant.
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

/// Refuses weights that another program than bitsandbytes has packed.
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

/// The config of a folder or GGUF file, and where it stands.
fn config_of(place: &Path) -> Result<(Value, PathBuf), ModelError> {
    if is_gguf(place) {
        return Ok((Gguf::open(place)?.config()?, place.to_owned()));
    }
    let path = place.join("config.json");
    Ok((read_config(place, &path)?, path))
}

/// The files by which a model is known again, each once.
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
