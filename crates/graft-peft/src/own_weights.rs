//! Base weights in an adapter's file: HF PEFT writes the embedding and the head if one of them is
//! targeted or the vocabulary was resized (`save_embedding_layers`), and loads any base weight in a
//! file.

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{DType, Device, Layer, Model, Parameter, Role, Tensor, Var, WeightOverride};

use crate::{
    PeftError,
    adapter_state::AdapterState,
    layers::all_sites,
    method::{AdapterPart, Attachment, Built},
    weights_file::{self, Weights, WeightsFile},
};

/// Maximum number of tensor names in a warning.
const SHOWN: usize = 12;

/// A base weight from the adapter's file, never trained.
struct StoredBaseWeight {
    /// In the type of the base weight.
    tensor: Tensor,
    state: Arc<AdapterState>,
}

impl WeightOverride for StoredBaseWeight {
    fn tensor(&self) -> Tensor {
        self.tensor.clone()
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }
}

/// A base weight, and whether files store it transposed.
#[derive(Clone, Copy)]
struct BaseWeight<'a> {
    site: &'a str,
    parameter: &'a Parameter,
    is_transposed: bool,
}

/// A base weight with the value that replaces it, and its keys in the file.
struct Replaced<'a> {
    base: BaseWeight<'a>,
    stored: Tensor,
    keys: Vec<String>,
}

/// Uses the base weights among the keys that no part of the adapter needs: as in HF PEFT, those
/// that differ from the model's weights replace them while the adapter is active. Returns notes on
/// the replaced weights and on unused tensors.
///
/// # Errors
/// [`PeftError::WrongShape`], [`PeftError::ResizedVocabulary`], [`PeftError::WrongType`],
/// [`PeftError::NotFinite`].
pub(crate) fn use_base_weights(
    model: &dyn Model,
    built: &mut Built,
    file: &WeightsFile,
    keys: &[String],
) -> Result<Vec<String>, PeftError> {
    let mut unused = Vec::new();
    let replaced = replaced_weights(model, built, file, keys, &mut unused)?;
    let mut notes = Vec::new();
    for (path, Replaced { base, stored, keys }) in replaced {
        notes.push(format!(
            "the file contains its own `{path}`, which differs from the base model's; it is used \
             while this adapter is active"
        ));
        built.parts.iter_mut().for_each(|part| part.copies.retain(|(key, _)| !keys.contains(key)));
        built.parts.push(part(base, &stored, keys, &built.state)?);
    }
    notes.extend(unused_warning(&unused));
    Ok(notes)
}

/// The base weights that differ from those in the file, by path. Adds the keys that are not used to
/// `unused`.
fn replaced_weights<'a>(
    model: &'a dyn Model,
    built: &Built,
    file: &WeightsFile,
    keys: &[String],
    unused: &mut Vec<String>,
) -> Result<BTreeMap<&'a str, Replaced<'a>>, PeftError> {
    let base_weights = base_weights(model);
    // Keys of the same weight are next to each other, and those of a tied head come last: as in HF
    // PEFT, the last one is used.
    let mut replaced: BTreeMap<&str, Replaced<'_>> = BTreeMap::new();
    for key in sorted(model, keys) {
        let Some(base) = base_names(key).iter().find_map(|name| base_weights.get(name)).copied()
        else {
            unused.push(key.clone());
            continue;
        };
        let stored = read(model, file, key, base)?;
        if is_same(&base.parameter.base_value(), &stored, file.shape(key).map(|(_, dtype)| dtype))?
        {
            continue;
        }
        if is_trained(built, base, key) {
            unused.push(key.clone());
            continue;
        }
        let entry = replaced.entry(base.parameter.path()).or_insert_with(|| Replaced {
            base,
            stored: stored.clone(),
            keys: Vec::new(),
        });
        entry.stored = stored;
        entry.keys.push(key.clone());
    }
    Ok(replaced)
}

/// Converts the error for tensors whose shapes differ only in the number of tokens.
pub(crate) fn explain_resized(error: PeftError, model: &dyn Model) -> PeftError {
    let vocab = model.shape().vocab;
    match error {
        PeftError::WrongShape { path, name, expected, found }
            if is_resized(&name, model) && expected.len() == found.len() =>
        {
            let different: Vec<_> =
                expected.iter().zip(&found).filter(|(expected, found)| expected != found).collect();
            match different[..] {
                [(expected_tokens, found)] if *expected_tokens == vocab => {
                    PeftError::ResizedVocabulary { path, name, found: *found, vocab }
                }
                _ => PeftError::WrongShape { path, name, expected, found },
            }
        }
        other => other,
    }
}

/// Whether a weight has a row or a column for every token.
fn is_resized(name: &str, model: &dyn Model) -> bool {
    let head = all_sites(model)
        .into_iter()
        .filter(|site| site.role == graft_nn::Role::Head)
        .map(|site| site.path);
    head.chain([model.embedding().path()]).any(|path| name.contains(path))
}

/// The base weights, by path; the weight of a tied head is that of the embedding.
fn base_weights(model: &dyn Model) -> BTreeMap<String, BaseWeight<'_>> {
    let mut base_weights = BTreeMap::new();
    for site in all_sites(model) {
        let is_transposed = matches!(site.layer, Layer::Linear(linear) if linear.fan_in_fan_out());
        for parameter in site.layer.parameters() {
            let leaf = crate::layers::leaf(parameter.path());
            base_weights.insert(
                format!("{}.{leaf}", site.path),
                BaseWeight {
                    site: site.path,
                    parameter,
                    is_transposed: is_transposed && leaf == "weight",
                },
            );
        }
    }
    base_weights
}

/// The names of the base weight that a key such as `base_model.model.lm_head.base_layer.weight` can
/// refer to: soft prompts have the shorter prefix.
fn base_names(key: &str) -> Vec<String> {
    let plain = |name: &str| name.replace(".base_layer.", ".").replace(".original_module.", ".");
    ["base_model.model.", "base_model."]
        .iter()
        .filter_map(|prefix| key.strip_prefix(prefix))
        .map(plain)
        .collect()
}

/// Sorts the keys; those of a tied head come last.
fn sorted<'a>(model: &dyn Model, keys: &'a [String]) -> Vec<&'a String> {
    let head = model.tied_head().map(|head| format!("{}.", head.path()));
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_by_key(|key| {
        (head.as_ref().is_some_and(|head| key.contains(head.as_str())), (*key).clone())
    });
    keys
}

fn read(
    model: &dyn Model,
    file: &WeightsFile,
    key: &str,
    base: BaseWeight<'_>,
) -> Result<Tensor, PeftError> {
    let mut expected = base.parameter.dims();
    if base.is_transposed {
        expected.reverse();
    }
    weights_file::check(file, key, &expected, file.path())
        .map_err(|error| explain_resized(error, model))?;
    let tensor = weights_file::read(file, key)?;
    Ok(if base.is_transposed { tensor.t()?.contiguous()? } else { tensor })
}

/// Whether two tensors are equal after rounding to the type of either.
fn is_same(own: &Tensor, stored: &Tensor, dtype: Option<DType>) -> Result<bool, PeftError> {
    let own = own.detach().to_device(&Device::Cpu)?;
    let rounded = |tensor: &Tensor, dtype: DType| tensor.to_dtype(dtype)?.to_dtype(DType::F32);
    let equal = |a: &Tensor, b: &Tensor| {
        Ok::<_, PeftError>(
            a.eq(b)?.to_dtype(DType::F32)?.flatten_all()?.min(0)?.to_scalar::<f32>()? == 1.0,
        )
    };
    let wide = own.to_dtype(DType::F32)?;
    Ok(equal(&wide, &rounded(stored, own.dtype())?)?
        || equal(&rounded(&wide, dtype.unwrap_or(DType::F32))?, stored)?)
}

/// Whether the adapter trains this weight itself; the original in the file is then unused.
fn is_trained(built: &Built, base: BaseWeight<'_>, key: &str) -> bool {
    let trains = |part: &AdapterPart| match &part.attachment {
        Attachment::Weight(path, _) => path == base.parameter.path(),
        Attachment::Head(_) => part.site == base.site,
        _ => false,
    };
    key.contains(".original_module.") || built.parts.iter().any(trains)
}

fn part(
    base: BaseWeight<'_>,
    stored: &Tensor,
    keys: Vec<String>,
    state: &Arc<AdapterState>,
) -> Result<AdapterPart, PeftError> {
    let own = base.parameter.base_value();
    let tensor = stored.to_dtype(own.dtype())?.to_device(own.device())?;
    let attachment = Attachment::Weight(
        base.parameter.path().to_owned(),
        Arc::new(StoredBaseWeight { tensor, state: state.clone() }),
    );
    let oriented = if base.is_transposed { stored.t()?.contiguous()? } else { stored.clone() };
    let var = Var::from_tensor(&oriented)?;
    let constants = keys.into_iter().map(|key| (key, var.clone())).collect();
    let site = base.parameter.path().rsplit_once('.').map_or(base.site, |(site, _)| site);
    Ok(AdapterPart { constants, ..AdapterPart::new(site, attachment, Vec::new()) })
}

/// The weights with a row for each token, by their keys in the file of an adapter that already has
/// the tensors `keys`. HF PEFT includes them in the file if the vocabulary was resized.
pub(crate) fn with_vocabulary<'a>(
    model: &dyn Model,
    keys: impl Iterator<Item = &'a String> + Clone,
) -> Vec<(String, Tensor)> {
    let mut all = Vec::new();
    for site in model.sites() {
        if !matches!(site.role, Role::Embedding | Role::Head) {
            continue;
        }
        let Some(weight) = site.layer.parameters().into_iter().find(|it| {
            crate::layers::leaf(it.path()) == "weight" && it.dims()[0] == model.shape().vocab
        }) else {
            continue;
        };
        let layer = format!("base_model.model.{}.", site.path);
        let own: Vec<&str> =
            keys.clone().filter_map(|key| key.strip_prefix(layer.as_str())).collect();
        let name = match own.as_slice() {
            [] => "weight",
            names if names.iter().all(|name| name.starts_with("token_adapter.")) => {
                "token_adapter.base_layer.weight"
            }
            _ => continue,
        };
        all.push((format!("{layer}{name}"), weight.base_value().detach()));
    }
    all
}

/// Names every tensor; tensors of different blocks share one entry.
fn unused_warning(keys: &[String]) -> Option<String> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for key in keys {
        let kind = key
            .split('.')
            .map(|part| if part.parse::<u64>().is_ok() { "*" } else { part })
            .collect::<Vec<_>>()
            .join(".");
        *kinds.entry(kind).or_default() += 1;
    }
    let named = |(kind, count): (&String, &usize)| {
        if *count == 1 { format!("`{kind}`") } else { format!("`{kind}` ({count} tensors)") }
    };
    let mut words: Vec<String> = kinds.iter().take(SHOWN).map(named).collect();
    if kinds.len() > SHOWN {
        words.push(format!("{} more", kinds.len() - SHOWN));
    }
    let count = keys.len();
    let belong =
        if count == 1 { "tensor of the file belongs" } else { "tensors of the file belong" };
    (count > 0).then(|| {
        format!(
            "{count} {belong} to no layer of this adapter and have no effect: {}",
            words.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_tensors_of_several_blocks_share_an_entry() {
        let keys: Vec<String> = [0, 1, 12]
            .iter()
            .map(|block| format!("base_model.model.h.{block}.up.lora_A.weight"))
            .chain(["x".to_owned()])
            .collect();
        let text = unused_warning(&keys).expect("a warning");
        assert_eq!(
            text,
            "4 tensors of the file belong to no layer of this adapter and have no effect: `base_model.model.h.*.up.lora_A.weight` (3 tensors), `x`"
        );
        assert_eq!(unused_warning(&[]), None);
    }

    #[test]
    fn names_of_base_weights_are_found_in_keys() {
        assert_eq!(
            base_names("base_model.model.lm_head.base_layer.weight"),
            ["lm_head.weight", "model.lm_head.weight"]
        );
        assert_eq!(
            base_names("base_model.model.model.embed_tokens.weight")[0],
            "model.embed_tokens.weight"
        );
        assert!(base_names("lm_head.weight").is_empty());
    }

    #[test]
    fn tensors_are_equal_up_to_rounding() {
        let own = Tensor::new(&[0.1f32, -2.7, 300.3], &Device::Cpu).expect("a tensor");
        let rounded = |dtype: DType| {
            own.to_dtype(dtype).and_then(|tensor| tensor.to_dtype(DType::F32)).expect("rounded")
        };
        assert!(is_same(&own, &rounded(DType::BF16), Some(DType::BF16)).expect("compared"));
        assert!(
            is_same(&own.to_dtype(DType::F16).expect("narrow"), &own, Some(DType::F32))
                .expect("compared")
        );
        let moved = (&own + 0.004).expect("moved");
        assert!(!is_same(&own, &moved, Some(DType::F32)).expect("compared"));
    }
}
