//! Lookup of a model's layers by path.

use std::collections::BTreeMap;

use graft_nn::{Embedding, Layer, Linear, Model, Role, Site};

use crate::{
    AttachContext, PeftError,
    init_source::InitSource,
    suggest,
    targets::{Matcher, Selection, Targets, ends_with},
};

/// All linear layers, by path.
pub(crate) fn linears(model: &dyn Model) -> BTreeMap<String, &Linear> {
    linear_sites(model).into_iter().map(|(site, linear)| (site.path.to_owned(), linear)).collect()
}

/// All layers in the model's order, and after them a head that shares the embedding's weight: an
/// adapter may act on it alone.
pub(crate) fn all_sites(model: &dyn Model) -> Vec<Site<'_>> {
    model.sites().into_iter().chain(model.tied_head().map(Site::linear)).collect()
}

/// All linear layers in the model's order.
pub(crate) fn linear_sites(model: &dyn Model) -> Vec<(Site<'_>, &Linear)> {
    all_sites(model)
        .into_iter()
        .filter_map(|site| match site.layer {
            Layer::Linear(linear) => Some((site, linear)),
            Layer::Embedding(_) | Layer::Norm(_) => None,
        })
        .collect()
}

/// The last component of a path: `q_proj` of `model.layers.0.self_attn.q_proj`.
pub(crate) fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The shortest suffix of a layer's path that matches no layer of another role, such as `down_proj`
/// or `mlp.c_proj`. It does not contain block numbers.
pub(crate) fn suffix(model: &dyn Model, linear: &Linear) -> String {
    let parts: Vec<_> =
        linear.path().rsplit('.').take_while(|part| part.parse::<usize>().is_err()).collect();
    let end = |length: usize| parts[..length].iter().rev().copied().collect::<Vec<_>>().join(".");
    let is_clear = |name: &String| {
        linear_sites(model)
            .iter()
            .all(|(site, _)| site.role == linear.role() || !ends_with(site.path, name))
    };
    (1..=parts.len()).map(end).find(is_clear).unwrap_or_else(|| end(parts.len()))
}

/// Names of the linear layers, without duplicates, in the model's order.
pub(crate) fn leaves(model: &dyn Model) -> Vec<String> {
    let mut leaves: Vec<String> = Vec::new();
    for (site, _) in linear_sites(model) {
        let leaf = leaf(site.path);
        if !leaves.iter().any(|known| known == leaf) {
            leaves.push(leaf.to_owned());
        }
    }
    leaves
}

/// The shortest names that select the same layers as `targets`. A regular expression is not
/// changed.
pub(crate) fn short_targets(
    targets: &Targets,
    model: &dyn Model,
    chosen: &[&Linear],
) -> Vec<String> {
    if let Targets::Pattern(pattern) = targets {
        return vec![pattern.clone()];
    }
    let mut leaves: Vec<String> = Vec::new();
    for linear in chosen {
        let leaf = leaf(linear.path());
        if !leaves.iter().any(|known| known == leaf) {
            leaves.push(leaf.to_owned());
        }
    }
    let matched = linear_sites(model)
        .iter()
        .filter(|(site, _)| leaves.iter().any(|known| known == leaf(site.path)))
        .count();
    match targets {
        _ if matched == chosen.len() => leaves,
        Targets::List(names) => names.clone(),
        _ => chosen.iter().map(|linear| linear.path().to_owned()).collect(),
    }
}

/// The module name that was probably meant: a layer whose role has this name, or the closest in
/// spelling.
pub(crate) fn nearest(model: &dyn Model, word: &str) -> Option<String> {
    if let Some((site, _)) = linear_sites(model).iter().find(|(site, _)| site.role.as_str() == word)
    {
        return Some(leaf(site.path).to_owned());
    }
    let leaves = leaves(model);
    suggest::nearest(word, leaves.iter().map(String::as_str)).map(str::to_owned)
}

/// The linear layers that a selection matches, in the model's order.
///
/// # Errors
/// Those of [`chosen_layers`], and [`PeftError::NotLinear`] for a target that matches an embedding.
pub(crate) fn chosen<'a>(
    cx: &AttachContext<'a>,
    selection: &Selection,
    init: InitSource,
) -> Result<Vec<&'a Linear>, PeftError> {
    let (linears, embeddings) = chosen_layers(cx, selection, init)?;
    match embeddings.first() {
        None => Ok(linears),
        Some(embedding) => Err(not_linear(cx.model, embedding.path(), Role::Embedding)),
    }
}

/// The linear layers and the embeddings that a selection matches.
type LinearsAndEmbeddings<'a> = (Vec<&'a Linear>, Vec<&'a Embedding>);

/// The linear layers and the embeddings that a selection matches, in the model's order.
///
/// # Errors
/// [`PeftError::NoMatch`] for a target that matches no layer; in an adapter from a file, like in HF
/// PEFT, only if no target matches. [`PeftError::NoSuchBlock`], [`PeftError::NotLinear`] for a
/// target that matches a norm, and [`PeftError::AllExcluded`].
pub(crate) fn chosen_layers<'a>(
    cx: &AttachContext<'a>,
    selection: &Selection,
    init: InitSource,
) -> Result<LinearsAndEmbeddings<'a>, PeftError> {
    let matcher = selection.matcher()?;
    check_blocks(cx, selection, init)?;
    let sites = all_sites(cx.model);
    let (chosen, embeddings) = matched_layers(cx, &sites, &matcher)?;
    let is_empty = chosen.is_empty() && embeddings.is_empty();
    if let Some(target) = missing_target(selection, &sites, is_empty, init) {
        return Err(no_match(cx, selection, target));
    }
    if is_empty {
        return Err(PeftError::AllExcluded {
            model: cx.base_name.to_owned(),
            keys: "exclude_modules, layers_to_transform or layers_pattern",
        });
    }
    Ok((chosen, embeddings))
}

/// Checks that the blocks named in a new adapter's settings exist.
fn check_blocks(
    cx: &AttachContext<'_>,
    selection: &Selection,
    init: InitSource,
) -> Result<(), PeftError> {
    let blocks = cx.model.shape().layers;
    if let Some(beyond) =
        selection.layers.iter().find(|layer| init == InitSource::Fresh && **layer >= blocks)
    {
        return Err(PeftError::NoSuchBlock {
            model: cx.base_name.to_owned(),
            block: *beyond,
            blocks,
        });
    }
    Ok(())
}

/// The linear layers and the embeddings that `matcher` selects.
fn matched_layers<'a>(
    cx: &AttachContext<'a>,
    sites: &[Site<'a>],
    matcher: &Matcher<'_>,
) -> Result<LinearsAndEmbeddings<'a>, PeftError> {
    let (mut chosen, mut embeddings) = (Vec::new(), Vec::new());
    for site in sites {
        match site.layer {
            Layer::Linear(linear) if matcher.matches(site.path, site.role != Role::Head) => {
                chosen.push(linear)
            }
            Layer::Embedding(embedding) if matcher.matches(site.path, false) => {
                embeddings.push(embedding)
            }
            Layer::Norm(_) if matcher.matches(site.path, false) => {
                return Err(not_linear(cx.model, site.path, site.role));
            }
            _ => {}
        }
    }
    Ok((chosen, embeddings))
}

/// The first target that matches no layer, where this is an error.
fn missing_target<'s>(
    selection: &'s Selection,
    sites: &[Site<'_>],
    is_empty: bool,
    init: InitSource,
) -> Option<&'s String> {
    let named = |name: &String| {
        sites.iter().any(|site| !matches!(site.layer, Layer::Norm(_)) && ends_with(site.path, name))
    };
    match &selection.targets {
        Targets::List(names) if init == InitSource::Fresh || is_empty => {
            names.iter().find(|name| !named(name))
        }
        Targets::Pattern(pattern) if is_empty => Some(pattern),
        _ => None,
    }
}

/// The error for a target that matches no layer.
fn no_match(cx: &AttachContext<'_>, selection: &Selection, target: &str) -> PeftError {
    let nearest = if matches!(selection.targets, Targets::List(_)) {
        nearest(cx.model, target)
    } else {
        None
    };
    PeftError::NoMatch {
        model: cx.base_name.to_owned(),
        target: target.to_owned(),
        nearest,
        modules: leaves(cx.model),
    }
}

fn not_linear(model: &dyn Model, path: &str, role: Role) -> PeftError {
    PeftError::NotLinear { path: path.to_owned(), role, modules: leaves(model) }
}
