//! `trainable_token_indices`: rows of the embedding, and of an untied head, that are trained as a
//! whole next to LoRA's updates of other layers.
//!
//! # Source
//! HF PEFT's `LoraConfig.trainable_token_indices`. Goldens `lora-tokens`, `lora-tokens-head`.

use std::sync::Arc;

use graft_nn::{Role, Site, Tensor};
use serde_json::Value;

use super::super::trainable_tokens::{Rows, numbers};
use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    layers::leaf,
    method::{AdapterPart, Attachment},
    own_weights, selected,
    weights_file::{self, Weights},
};

/// The field, which is also the name of the key.
const FIELD: &str = "trainable_token_indices";

/// The parts with trained rows, and the keys of the file that they have read: a list is for the
/// input embedding, an object has a list for each named layer.
///
/// If the vocabulary was resized, the file contains the other rows too.
///
/// # Errors
/// [`PeftError::NoSuchToken`]; [`PeftError::Malformed`] for other values and names of other layers;
/// [`PeftError::Unsupported`] for a tied head, and for a layer that LoRA targets as well.
pub(in crate::methods) fn parts(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    targeted: &[&str],
    state: &Arc<AdapterState>,
) -> Result<(Vec<AdapterPart>, Vec<String>), PeftError> {
    let embedding = leaf(cx.model.embedding().path());
    let by_layer: Vec<(&str, &Value)> = match config.get(FIELD) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(layers)) => {
            layers.iter().map(|(name, indices)| (name.as_str(), indices)).collect()
        }
        Some(Value::Array(indices)) if indices.is_empty() => Vec::new(),
        Some(indices) => vec![(embedding, indices)],
    };
    let (mut parts, mut read) = (Vec::new(), Vec::new());
    for (name, indices) in by_layer {
        let site = layer(cx, config, name)?;
        if targeted.contains(&site.path) {
            return Err(config.unsupported(format!("`{FIELD}` on a target of LoRA (`{name}`)")));
        }
        parts.push(part(cx, (config, indices), &site, state)?);
        // If the head shares the weight, a resized vocabulary is written a second time for it.
        let tied = cx.model.tied_head().map(|head| head.path());
        for path in [site.path].into_iter().chain(tied) {
            read.extend([key(path, "base_layer.weight"), key(path, ROWS)]);
        }
    }
    Ok((parts, read))
}

/// The name of the trained rows in a file.
const ROWS: &str = "trainable_tokens_delta";

/// The key of a tensor of the rows of a layer.
fn key(path: &str, name: &str) -> String {
    format!("base_model.model.{path}.token_adapter.{name}")
}

/// The embedding or the head of that name.
fn layer<'a>(
    cx: &AttachContext<'a>,
    config: &ConfigFile,
    name: &str,
) -> Result<Site<'a>, PeftError> {
    let is_named = |path: &str| path == name || path.ends_with(&format!(".{name}"));
    if cx.model.tied_head().is_some_and(|head| is_named(head.path())) {
        return Err(config.unsupported(format!(
            "`{FIELD}` of `{name}`, which shares the weight of the embedding: name the embedding"
        )));
    }
    let has_tokens = |site: &Site<'_>| matches!(site.role, Role::Embedding | Role::Head);
    let mut sites = cx.model.sites().into_iter().filter(has_tokens);
    let found = sites.find(|site| is_named(site.path));
    found.ok_or_else(|| config.invalid(FIELD, "token numbers of the embedding or the head"))
}

/// The trained rows of one layer.
fn part(
    cx: &AttachContext<'_>,
    (config, indices): (&ConfigFile, &Value),
    site: &Site<'_>,
    state: &Arc<AdapterState>,
) -> Result<AdapterPart, PeftError> {
    let mut parameters = site.layer.parameters().into_iter();
    let weight = parameters.find(|parameter| leaf(parameter.path()) == "weight");
    let Some(weight) = weight else { return Err(selected::nothing_left(cx)) };
    let own = weight.base_value().detach();
    // Read first: the error about another number of tokens explains those outside the vocabulary.
    let table = stored(cx, site.path, &own)?.unwrap_or(own); // (V, C)
    let indices = numbers(config, FIELD, indices, cx.model.shape().vocab)?;
    cx.reserve(ROWS, site.path, &[indices.len(), cx.model.shape().hidden])?;
    let rows = Rows::new(&table, &indices, state)?;
    let var = rows.var();
    let attachment = Attachment::Weight(weight.path().to_owned(), Arc::new(rows));
    Ok(AdapterPart::new(site.path, attachment, vec![(key(site.path, ROWS), var)]))
}

/// The whole weight in the adapter's file, in the type and on the device of the model's own.
///
/// # Errors
/// [`PeftError::ResizedVocabulary`] and other errors of the file's tensor.
fn stored(cx: &AttachContext<'_>, path: &str, own: &Tensor) -> Result<Option<Tensor>, PeftError> {
    let key = key(path, "base_layer.weight");
    let Some(file) = cx.file().filter(|file| file.shape(&key).is_some()) else { return Ok(None) };
    weights_file::check(file, &key, own.dims(), file.path())
        .map_err(|error| own_weights::explain_resized(error, cx.model))?;
    let tensor = weights_file::read(file, &key)?; // (V, C)
    Ok(Some(tensor.to_dtype(own.dtype())?.to_device(own.device())?))
}
