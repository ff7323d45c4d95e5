//! Building a model from its config and weight files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use graft_nn::{DType, Device, Model, NnError, Tensor};
use serde_json::Value;

use super::{
    ModelFiles, config_of, content,
    open_weights::open_weights,
    packing,
    resized::{self, VocabSize},
    unused,
    weights::WeightFiles,
};
use crate::{
    ModelError, WeightSpec,
    families::{self, FamilyConfig},
    sizes,
};

/// The weights of a model by origin.
struct Weights {
    /// All weights that the config requires.
    expected: Vec<WeightSpec>,
    /// Those that are not in the files and are newly initialized.
    fresh: Vec<WeightSpec>,
    /// Those that are read from the files.
    stored: Vec<WeightSpec>,
    /// Names of weights in the files that are not used and not ignored.
    unused: Vec<String>,
}

/// What differs from the files of a model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    /// Number of classes of a classification head to add.
    pub(super) labels: Option<usize>,
    /// Number of tokens.
    pub(super) vocab: VocabSize,
}

/// Loads the model of a folder or file with changes.
///
/// # Errors
/// Any [`ModelError`] of loading.
pub(super) fn load_as(
    place: &Path,
    dtype: DType,
    changes: Changes,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<ModelFiles, ModelError> {
    let (mut config_json, path) = config_of(place)?;
    check_quantization(&config_json, &path)?;
    let files = open_weights(place)?;
    check_sizes(&config_json, &*files, &path)?;
    let stored = config_json.clone();
    let mut files = resized::resize(files, &mut config_json, &path, changes.vocab)?;
    let mut family = families::plan(&config_json, &path)?;
    family.adapt_to_files(&|name| files.shape(name).is_some());
    if let Some(labels) = changes.labels {
        family = family.with_labels(labels)?;
    }
    let weights = Weights::new(&*family, &mut *files)?;
    weights.check_memory(&*files, dtype, device)?;
    let model = build(&*family, &*files, &weights, dtype, device, progress)?;
    let has_fresh_head = weights.fresh.iter().any(|spec| is_classifier(&spec.name));
    if let Some(names) = model.label_names().filter(|_| has_fresh_head) {
        names.mark_fresh();
    }
    let mut content_hash = content::hash(content_paths(&path, &*files).into_iter())?;
    let is_resized = config_json != stored;
    if is_resized {
        // Another model than that of the files: its tensors have other shapes.
        content_hash.push_str(&format!("-v{}", model.shape().vocab));
    }
    Ok(ModelFiles {
        content_hash,
        is_resized,
        warnings: weights.warnings(&config_json, &*model),
        keys: (weights.stored.len(), weights.stored.len() + weights.unused.len()),
        model,
        config_json,
    })
}

impl Weights {
    /// Compares the weights that a config requires with those in the files.
    fn new(family: &dyn FamilyConfig, files: &mut dyn WeightFiles) -> Result<Self, ModelError> {
        let expected = family.weights();
        files.expect(family.prefix(), &expected)?;
        let is_fresh =
            |spec: &WeightSpec| files.shape(&spec.name).is_none() && family.may_be_fresh(spec);
        let (fresh, stored): (Vec<_>, Vec<_>) = expected.iter().cloned().partition(is_fresh);
        let tied = expected.iter().all(|spec| spec.name != "lm_head.weight");
        let mut unused = files.check(&stored)?;
        unused.retain(|name| !unused::is_ignored(name, tied));
        Ok(Self { expected, fresh, stored, unused })
    }

    fn check_memory(
        &self,
        files: &dyn WeightFiles,
        dtype: DType,
        device: &Device,
    ) -> Result<(), ModelError> {
        let (packed, plain): (Vec<_>, Vec<_>) =
            self.expected.iter().partition(|spec| files.is_packed(&spec.name));
        let packed_bytes = if packed.is_empty() { 0 } else { files.bytes() };
        sizes::check_memory(&plain, packed_bytes, dtype, device)
    }

    fn warnings(&self, config: &Value, model: &dyn Model) -> Vec<String> {
        let has_classifier = self.stored.iter().any(|spec| is_classifier(&spec.name));
        let mut warnings = unused::warnings(&self.unused, config, model.task());
        warnings.extend(unused::foreign_classifier(config, model.task(), has_classifier));
        warnings.extend(fresh_warning(&self.fresh));
        warnings
    }
}

/// Builds the model from checked weights; those in `fresh` are newly initialized.
fn build(
    family: &dyn FamilyConfig,
    files: &dyn WeightFiles,
    weights: &Weights,
    dtype: DType,
    device: &Device,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Arc<dyn Model>, ModelError> {
    let mut done = 0;
    let mut packed = BTreeMap::new();
    let model = family.build(device, &mut |spec| {
        done += 1;
        progress("weights", done, weights.expected.len() as u64);
        if let Some(values) = family.fresh(spec).filter(|_| weights.fresh.contains(spec)) {
            return Ok(
                Tensor::from_vec(values, spec.shape.as_slice(), device).map_err(NnError::from)?
            );
        }
        match spec.shape[..] {
            [d_out, d_in] if files.is_packed(&spec.name) => {
                packed.insert(spec.name.clone(), files.packed(&spec.name, (d_out, d_in))?);
                // A placeholder without memory until the model exists.
                let zero = Tensor::zeros((1, 1), dtype, device)
                    .and_then(|zero| zero.broadcast_as((d_out, d_in)));
                Ok(zero.map_err(NnError::from)?)
            }
            [_] => files.read(&spec.name, DType::F32, device),
            _ => files.read(&spec.name, dtype, device),
        }
    })?;
    packing::put(&*model, packed, device, files.place())?;
    Ok(model)
}

/// Compares the sizes in a config with its weight files.
///
/// # Errors
/// [`ModelError::Malformed`].
pub(super) fn check_sizes(
    config: &Value,
    weights: &dyn WeightFiles,
    path: &Path,
) -> Result<(), ModelError> {
    sizes::check(config, weights.stored())
        .map_err(|problem| ModelError::Malformed { path: path.to_owned(), problem })
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
                "its weights are quantized with `{other}`, which is not supported \
                 (bitsandbytes nf4 and int8 are)"
            );
            Err(ModelError::Malformed { path: path.to_owned(), problem })
        }
    }
}

/// The files that identify a model, each once.
fn content_paths<'a>(config: &'a Path, weights: &'a dyn WeightFiles) -> Vec<&'a Path> {
    let mut paths = vec![config];
    paths.extend(weights.paths().into_iter().filter(|path| *path != config));
    paths
}

/// Whether a weight is that of the layer which computes the logits of the classes.
fn is_classifier(name: &str) -> bool {
    ["classifier.weight", "classifier.out_proj.weight", "score.weight"].contains(&name)
}

fn fresh_warning(specs: &[WeightSpec]) -> Option<String> {
    let layers: BTreeSet<_> = specs
        .iter()
        .filter_map(|spec| spec.name.rsplit_once('.'))
        .map(|(layer, _)| format!("`{layer}`"))
        .collect();
    let layers = layers.into_iter().collect::<Vec<_>>().join(" and ");
    (!layers.is_empty()).then(|| {
        format!(
            "the checkpoint has no weights for {layers}; they were newly initialized and must be \
             trained before use"
        )
    })
}
