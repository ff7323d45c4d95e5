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
            .to_dtype(base.weight().base_weight().dtype())?; // (.., C)
        let factor = self.state.scale();
        if factor == 1.0 {
            return Ok(vectors);
        }
        let own = base.base_forward(ids)?; // (.., C)
        Ok((&own + ((vectors - &own)? * factor)?)?)
    }

    fn delta(&self, base: &Embedding) -> NnResult<Tensor> {
        let change = (self.var.as_detached_tensor()
            - base.weight().base_value().detach().to_dtype(DType::F32)?)?; // (V, C)
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
    let var = Var::from_tensor(&parameter.base_value().detach().to_dtype(DType::F32)?)?;
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
    let unfreeze = Unfreeze { cx, config, bias, saved, state: built.state.clone() };
    let is_target = |path: &str| {
        let is_linear = |part: &AdapterPart| matches!(part.attachment, Attachment::Linear(_));
        built.parts.iter().any(|part| is_linear(part) && part.site == path)
    };
    let mut parts = Vec::new();
    for site in cx.model.sites() {
        parts.extend(unfreeze.site(&site, is_target(site.path))?);
    }
    parts.extend(unfreeze.tied_head()?);
    if init == InitSource::Fresh && bias != "none" && !parts.iter().any(|part| part.in_place) {
        let (setting, model) = (format!("bias={bias}"), cx.base_name.to_owned());
        return Err(PeftError::NoBias { setting, model });
    }
    built.parts.extend(parts);
    Ok(())
}

/// The reason to train a parameter of the base model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It belongs to a module in `modules_to_save`.
    SavedModule,
    /// It is the bias of a layer that the method adapts.
    TargetBias,
    /// It is the bias of another layer.
    OtherBias,
}

/// What `bias` and `modules_to_save` unfreeze.
struct Unfreeze<'a> {
    cx: &'a AttachContext<'a>,
    config: &'a ConfigFile,
    /// `none`, `all`, or a word that ends with `_only`.
    bias: &'a str,
    saved: Vec<String>,
    state: Arc<AdapterState>,
}

impl Unfreeze<'_> {
    /// The parts of one layer.
    fn site(&self, site: &Site<'_>, is_target: bool) -> Result<Vec<AdapterPart>, PeftError> {
        if is_named(site.path, &self.saved) {
            if matches!(site.layer, Layer::Linear(linear) if linear.fan_in_fan_out()) {
                let path = site.path;
                return Err(self.config.unsupported(format!(
                    "`modules_to_save` for `{path}`, whose weight is stored transposed"
                )));
            }
            if let Some(part) = self.tied_embedding(site)? {
                return Ok(vec![part]);
            }
        }
        let mut parts = Vec::new();
        for parameter in site.layer.parameters() {
            if let Some(reason) = self.reason(site, parameter, is_target) {
                parts.push(self.parameter(site, parameter, reason)?);
            }
        }
        Ok(parts)
    }

    fn reason(&self, site: &Site<'_>, parameter: &Parameter, is_target: bool) -> Option<Reason> {
        if is_named(site.path, &self.saved) {
            return Some(Reason::SavedModule);
        }
        let is_selected = self.bias == "all" || (self.bias.ends_with("_only") && is_target);
        let reason = if is_target { Reason::TargetBias } else { Reason::OtherBias };
        (leaf(parameter.path()) == "bias" && is_selected).then_some(reason)
    }

    /// A trained copy of one parameter. HF PEFT trains biases in place, and modules as copies that
    /// it saves in addition to the original.
    fn parameter(
        &self,
        site: &Site<'_>,
        parameter: &Parameter,
        reason: Reason,
    ) -> Result<AdapterPart, PeftError> {
        let (var, attachment) = unfreeze_parameter(self.cx, parameter, &self.state)?;
        let prefix = prefix(self.config);
        let inner = if reason == Reason::TargetBias { ".base_layer" } else { "" };
        let (path, leaf) = (site.path, leaf(parameter.path()));
        let key = format!("{prefix}.{path}{inner}.{leaf}");
        if reason == Reason::SavedModule && leaf == "bias" && self.bias == "all" {
            // HF PEFT then treats the bias both as part of a saved module and as a bias: it writes
            // it twice, together with the original.
            let original = format!("{prefix}.{path}.original_module.bias");
            let weights = vec![(format!("{prefix}.{path}.modules_to_save.bias"), var.clone())];
            return Ok(AdapterPart {
                copies: vec![(original, parameter.base_value().detach())],
                constants: vec![(key, var)],
                ..AdapterPart::new(path, attachment, weights)
            });
        }
        let part = AdapterPart::new(path, attachment, vec![(key, var)]);
        Ok(AdapterPart { in_place: reason != Reason::SavedModule, ..part })
    }

    /// A trained copy of the embedding if the head shares its weight; `None` for other layers.
    fn tied_embedding(&self, site: &Site<'_>) -> Result<Option<AdapterPart>, PeftError> {
        let Layer::Embedding(embedding) = site.layer else { return Ok(None) };
        let model = self.cx.model;
        if model.tied_head().is_none() || site.path != model.embedding().path() {
            return Ok(None);
        }
        let (var, _) = trained_copy(self.cx, embedding.weight(), &self.state)?;
        let copy = UnfrozenEmbedding { var: var.clone(), state: self.state.clone() };
        let weights = vec![(format!("{}.{}.weight", prefix(self.config), site.path), var)];
        let attachment = Attachment::Embedding(Arc::new(copy));
        Ok(Some(AdapterPart::new(site.path, attachment, weights)))
    }

    /// A trained copy of a tied head's weight, if the head is in `modules_to_save`.
    fn tied_head(&self) -> Result<Option<AdapterPart>, PeftError> {
        let head = self.cx.model.tied_head().filter(|head| is_named(head.path(), &self.saved));
        let Some(head) = head else { return Ok(None) };
        let (var, weight_override) = trained_copy(self.cx, head.weight(), &self.state)?;
        let weights = vec![(format!("{}.{}.weight", prefix(self.config), head.path()), var)];
        Ok(Some(AdapterPart::new(head.path(), Attachment::Head(weight_override), weights)))
    }
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
    let is_adapted =
        |path: &str| is_named(path, saved) || built.parts.iter().any(|part| part.site == path);
    if is_adapted(head.path()) || is_adapted(cx.model.embedding().path()) {
        return Err(config.unsupported(
            "`ensure_weight_tying` for an embedding and a head that share one weight".to_owned(),
        ));
    }
    Ok(())
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
