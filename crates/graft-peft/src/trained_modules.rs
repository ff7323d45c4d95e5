//! Trained copies of base weights: `bias` and `modules_to_save`, which all methods support, and the
//! selective methods.
//!
//! A copy is trained and replaces the base weight while the adapter is active, so the base model
//! does not change.

use std::sync::Arc;

use graft_nn::{
    DType, Embedding, EmbeddingAdapter, Layer, Parameter, Result as NnResult, Site, Tensor, Var,
    WeightOverride, ops,
};

use crate::{
    AttachContext, PeftError,
    adapter_state::AdapterState,
    config_file::ConfigFile,
    init_source::InitSource,
    layers::leaf,
    method::{AdapterPart, Attachment, Built},
    modules_to_save::{HEADS, is_named, names},
};

/// A trained copy of a base weight.
struct UnfrozenWeight {
    var: Var,
    state: Arc<AdapterState>,
}

impl WeightOverride for UnfrozenWeight {
    fn tensor(&self) -> Tensor {
        self.var.as_tensor().clone()
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }
}

/// A trained copy of an embedding whose weight the head shares. As in HF PEFT, the head keeps the
/// base weight.
struct UnfrozenEmbedding {
    var: Var,
    state: Arc<AdapterState>,
}

impl EmbeddingAdapter for UnfrozenEmbedding {
    fn forward(&self, base: &Embedding, ids: &Tensor) -> NnResult<Tensor> {
        let vectors = ops::embedding(ids, self.var.as_tensor())?
            .to_dtype(base.weight().own_weight().dtype())?; // (.., C)
        let factor = self.state.scale();
        if factor == 1.0 {
            return Ok(vectors);
        }
        let own = base.base_forward(ids)?; // (.., C)
        Ok((&own + ((vectors - &own)? * factor)?)?)
    }

    fn delta(&self, base: &Embedding) -> NnResult<Tensor> {
        let change =
            (self.var.as_detached_tensor() - base.weight().own().detach().to_dtype(DType::F32)?)?; // (V, C)
        Ok((change * self.state.scale())?)
    }

    fn is_merged(&self) -> bool {
        self.state.is_merged()
    }
}

/// A trained copy of a parameter, and the attachment that replaces the parameter by it.
///
/// # Errors
/// [`PeftError::TooLarge`], and [`PeftError::Layer`] if the weight cannot be copied.
pub(crate) fn unfreeze_parameter(
    cx: &AttachContext<'_>,
    parameter: &Parameter,
    state: &Arc<AdapterState>,
) -> Result<(Var, Attachment), PeftError> {
    let (var, weight_override) = trained_copy(cx, parameter, state)?;
    Ok((var, Attachment::Weight(parameter.path().to_owned(), weight_override)))
}

fn trained_copy(
    cx: &AttachContext<'_>,
    parameter: &Parameter,
    state: &Arc<AdapterState>,
) -> Result<(Var, Arc<dyn WeightOverride>), PeftError> {
    cx.reserve("copy", parameter.path(), &parameter.dims())?;
    let var = Var::from_tensor(&parameter.own().detach().to_dtype(DType::F32)?)?;
    Ok((var.clone(), Arc::new(UnfrozenWeight { var, state: state.clone() })))
}

/// The prefix of a module's path in the file's keys.
fn prefix(config: &ConfigFile) -> &'static str {
    if config.get("num_virtual_tokens").is_some() { "base_model" } else { "base_model.model" }
}

/// Adds the parts for `bias` and `modules_to_save` to those of the method, with warnings.
///
/// # Errors
/// In a fresh adapter [`PeftError::NoSuchModule`] and [`PeftError::NoBias`];
/// [`PeftError::Unsupported`] for `ensure_weight_tying` and for a layer that is stored transposed.
pub(crate) fn unfreeze(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    built: &mut Built,
    init: InitSource,
) -> Result<(), PeftError> {
    let saved = names(config);
    if saved.is_empty() && config.is_set("modules_to_save") {
        return Err(config.invalid("modules_to_save", "a list of module names"));
    }
    check_names(cx, &saved, built, init)?;
    check_tying(cx, config, &saved, built)?;
    let bias = config.text("bias").unwrap_or("none");
    let is_target = |path: &str| {
        built
            .parts
            .iter()
            .any(|part| matches!(part.attachment, Attachment::Linear(_)) && part.site == path)
    };
    let mut parts = Vec::new();
    for site in cx.model.sites() {
        let (is_saved, is_target) = (is_named(site.path, &saved), is_target(site.path));
        if is_saved
            && matches!(site.layer, graft_nn::Layer::Linear(linear) if linear.fan_in_fan_out())
        {
            return Err(config.unsupported(format!(
                "`modules_to_save` for `{}`, whose weight is stored transposed",
                site.path
            )));
        }
        let table = if is_saved { shared_table(cx, config, &site, &built.state)? } else { None };
        if let Some(part) = table {
            parts.push(part);
            continue;
        }
        for parameter in site.layer.parameters() {
            let unfreezes_bias = leaf(parameter.path()) == "bias"
                && (bias == "all" || (bias.ends_with("_only") && is_target));
            if is_saved || unfreezes_bias {
                parts.push(part(
                    cx,
                    config,
                    (&site, parameter),
                    (is_saved, is_target),
                    &built.state,
                )?);
            }
        }
    }
    if let Some(head) = cx.model.tied_head().filter(|head| is_named(head.path(), &saved)) {
        let (var, weight_override) = trained_copy(cx, head.weight(), &built.state)?;
        parts.push(AdapterPart::new(
            head.path(),
            Attachment::Head(weight_override),
            vec![(format!("{}.{}.weight", prefix(config), head.path()), var)],
        ));
    }
    if init == InitSource::Fresh && bias != "none" && !parts.iter().any(|part| part.in_place) {
        return Err(PeftError::NoBias {
            setting: format!("bias={bias}"),
            model: cx.base_name.to_owned(),
        });
    }
    built.parts.extend(parts);
    Ok(())
}

/// A trained copy of the embedding if the head shares its weight; `None` for other layers.
fn shared_table(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    site: &Site<'_>,
    state: &Arc<AdapterState>,
) -> Result<Option<AdapterPart>, PeftError> {
    let Layer::Embedding(embedding) = site.layer else { return Ok(None) };
    if cx.model.tied_head().is_none() || site.path != cx.model.embedding().path() {
        return Ok(None);
    }
    let (var, _) = trained_copy(cx, embedding.weight(), state)?;
    let attachment = Attachment::Embedding(Arc::new(UnfrozenEmbedding {
        var: var.clone(),
        state: state.clone(),
    }));
    Ok(Some(AdapterPart::new(
        site.path,
        attachment,
        vec![(format!("{}.{}.weight", prefix(config), site.path), var)],
    )))
}

/// Refuses `ensure_weight_tying` for a shared weight: one adapter for embedding and head together
/// differs from an adapter for either.
fn check_tying(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    saved: &[String],
    built: &Built,
) -> Result<(), PeftError> {
    let Some(head) = cx.model.tied_head().filter(|_| config.flag("ensure_weight_tying")) else {
        return Ok(());
    };
    let is_meant =
        |path: &str| is_named(path, saved) || built.parts.iter().any(|part| part.site == path);
    if is_meant(head.path()) || is_meant(cx.model.embedding().path()) {
        return Err(config.unsupported(
            "`ensure_weight_tying` for an embedding and a head that share one weight".to_owned(),
        ));
    }
    Ok(())
}

/// A trained copy of one parameter. HF PEFT trains biases in place, and modules as copies that it
/// saves in addition to the original.
fn part(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    (site, parameter): (&Site<'_>, &Parameter),
    (is_saved, is_target): (bool, bool),
    state: &Arc<AdapterState>,
) -> Result<AdapterPart, PeftError> {
    let (var, attachment) = unfreeze_parameter(cx, parameter, state)?;
    let prefix = prefix(config);
    let inner = if is_target && !is_saved { ".base_layer" } else { "" };
    let (path, leaf) = (site.path, leaf(parameter.path()));
    let key = format!("{prefix}.{path}{inner}.{leaf}");
    if is_saved && leaf == "bias" && config.text("bias") == Some("all") {
        // HF PEFT then treats the bias both as part of a saved module and as a bias: it writes it
        // twice, together with the original.
        let original = (format!("{prefix}.{path}.original_module.bias"), parameter.own().detach());
        let weights = vec![(format!("{prefix}.{path}.modules_to_save.bias"), var.clone())];
        return Ok(AdapterPart {
            copies: vec![original],
            constants: vec![(key, var)],
            ..AdapterPart::new(path, attachment, weights)
        });
    }
    Ok(AdapterPart { in_place: !is_saved, ..AdapterPart::new(path, attachment, vec![(key, var)]) })
}

/// Checks that every name in `modules_to_save` is a module: an unknown name would be ignored
/// silently.
fn check_names(
    cx: &AttachContext<'_>,
    names: &[String],
    built: &mut Built,
    init: InitSource,
) -> Result<(), PeftError> {
    let sites = cx.model.sites();
    let paths =
        || sites.iter().map(|site| site.path).chain(cx.model.tied_head().map(|head| head.path()));
    let is_known = |name: &String| paths().any(|path| is_named(path, std::slice::from_ref(name)));
    let is_head = |name: &str| {
        HEADS.contains(&name) && HEADS.iter().any(|head| is_known(&(*head).to_owned()))
    };
    for name in names.iter().filter(|name| !is_known(name) && !is_head(name)) {
        let mut modules: Vec<String> = paths().map(|path| leaf(path).to_owned()).collect();
        modules.sort_unstable();
        modules.dedup();
        let model = cx.base_name.to_owned();
        let error = PeftError::NoSuchModule { name: name.clone(), model, modules };
        if init == InitSource::Fresh {
            return Err(error);
        }
        built.warnings.push(error.to_string());
    }
    Ok(())
}
