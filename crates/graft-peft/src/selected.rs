//! Module selection of the selective methods: modules of any kind, with everything inside them.

use std::sync::Arc;

use graft_nn::{Parameter, Site};

use crate::{
    AttachContext, PeftError, adapter_state::AdapterState, config_file::ConfigFile,
    init_source::InitSource, layers::leaf, method::AdapterPart, suggest, targets::Targets,
    trained_modules::unfreeze_parameter,
};

/// The layers that `target_modules` matches (all without it) and `exclude_modules` does not, in the
/// model's order.
///
/// # Errors
/// [`PeftError::NoMatch`] for a name without a match, in a fresh adapter;
/// [`PeftError::AllExcluded`], [`PeftError::BadPattern`], [`PeftError::Malformed`].
fn sites<'a>(
    cx: &AttachContext<'a>,
    config: &ConfigFile,
    init: InitSource,
) -> Result<Vec<Site<'a>>, PeftError> {
    let read = |name: &str| match config.get(name) {
        None => Ok(None),
        Some(value) => Targets::from_json(value)
            .map(Some)
            .ok_or_else(|| config.invalid(name, "a list of module names or a regular expression")),
    };
    let (targets, excluded) = (read("target_modules")?, read("exclude_modules")?);
    for word in [&targets, &excluded].into_iter().flatten().flat_map(Targets::words) {
        if init == InitSource::Fresh && !any(cx, |site| word.covers(site.path))? {
            return Err(no_match(cx, &word, |_| true));
        }
    }
    let mut chosen = Vec::new();
    for site in cx.model.sites() {
        let covers = |targets: &Option<Targets>, otherwise| {
            targets.as_ref().map_or(Ok(otherwise), |targets| targets.covers(site.path))
        };
        if covers(&targets, true)? && !covers(&excluded, false)? {
            chosen.push(site);
        }
    }
    if chosen.is_empty() { Err(nothing_left(cx)) } else { Ok(chosen) }
}

/// Unfreezes the parameters of the selected layers that `is_trained` accepts.
///
/// # Errors
/// Those of [`sites`] and `is_trained`; [`PeftError::TooLarge`].
pub(crate) fn unfreeze_selected(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    init: InitSource,
    state: &Arc<AdapterState>,
    is_trained: impl Fn(&Site<'_>, &Parameter) -> Result<bool, PeftError>,
) -> Result<Vec<AdapterPart>, PeftError> {
    let mut parts = Vec::new();
    for site in sites(cx, config, init)? {
        for parameter in site.layer.parameters() {
            if is_trained(&site, parameter)? {
                let (var, attachment) = unfreeze_parameter(cx, parameter, state)?;
                let weights = vec![(format!("base_model.model.{}", parameter.path()), var)];
                let part = AdapterPart::new(site.path, attachment, weights);
                parts.push(AdapterPart { in_place: true, ..part });
            }
        }
    }
    Ok(parts)
}

/// Checks that every target of a fresh adapter matches a layer that `is_choice` accepts.
///
/// # Errors
/// [`PeftError::NoMatch`] with the possible names; [`PeftError::BadPattern`].
pub(crate) fn check_names(
    cx: &AttachContext<'_>,
    targets: &Targets,
    init: InitSource,
    is_choice: impl Fn(&Site<'_>) -> bool,
) -> Result<(), PeftError> {
    for word in targets.words() {
        if init == InitSource::Fresh
            && !any(cx, |site| if is_choice(site) { word.covers(site.path) } else { Ok(false) })?
        {
            return Err(no_match(cx, &word, is_choice));
        }
    }
    Ok(())
}

/// The error for targets that are all excluded.
pub(crate) fn nothing_left(cx: &AttachContext<'_>) -> PeftError {
    PeftError::AllExcluded { model: cx.base_name.to_owned(), keys: "exclude_modules" }
}

fn any(
    cx: &AttachContext<'_>,
    mut holds: impl FnMut(&Site<'_>) -> Result<bool, PeftError>,
) -> Result<bool, PeftError> {
    for site in cx.model.sites() {
        if holds(&site)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn no_match(
    cx: &AttachContext<'_>,
    word: &Targets,
    is_choice: impl Fn(&Site<'_>) -> bool,
) -> PeftError {
    let target = match word {
        Targets::AllLinear => crate::targets::ALL_LINEAR.to_owned(),
        Targets::List(names) => names.join(","),
        Targets::Pattern(pattern) => pattern.clone(),
    };
    let mut modules: Vec<String> = Vec::new();
    for name in cx.model.sites().iter().filter(|site| is_choice(site)).map(|site| leaf(site.path)) {
        if !modules.iter().any(|known| known == name) {
            modules.push(name.to_owned());
        }
    }
    let nearest = suggest::nearest(&target, modules.iter().map(String::as_str)).map(str::to_owned);
    PeftError::NoMatch { model: cx.base_name.to_owned(), target, nearest, modules }
}
