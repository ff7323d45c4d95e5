//! Which modules a selective method means: those of any kind, with everything inside them.

use graft_nn::Site;

use crate::{
    AttachContext, PeftError, config_file::ConfigFile, init_source::InitSource, layers::leaf,
    suggest, targets::Targets,
};

/// The layers that `target_modules` covers (all without it) and `exclude_modules` does not, in the model's order.
///
/// # Errors
/// [`PeftError::NoMatch`] for a name that means nothing, in a fresh adapter; [`PeftError::Refused`] when nothing is left;
/// [`PeftError::BadPattern`], [`PeftError::Malformed`].
pub(crate) fn sites<'a>(
    cx: &AttachContext<'a>,
    config: &ConfigFile,
    init: InitSource,
) -> Result<Vec<Site<'a>>, PeftError> {
    let read = |name: &str| match config.get(name) {
        None => Ok(None),
        Some(value) => Targets::from_json(value)
            .map(Some)
            .ok_or_else(|| config.wrong(name, "a list of module names or a regular expression")),
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

/// Refuses a target of a fresh adapter that ends the path of no layer that `is_choice` accepts.
///
/// # Errors
/// [`PeftError::NoMatch`] with the layers there are; [`PeftError::BadPattern`].
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

/// When the targets are there, and exclusions leave none of them.
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
    let nearest =
        suggest::nearest(&target, modules.iter().map(String::as_str), 0.4).map(str::to_owned);
    PeftError::NoMatch { model: cx.base_name.to_owned(), target, nearest, modules }
}
