//! Merging: an adapter's update added to the base weights. The original weights are saved so that
//! they can be restored exactly.

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{
    DType, Embedding, Layer, Linear, Model, Parameter, Site, Tensor, UntiedWeight, Weight,
};

use crate::{
    PeftError,
    layers::{all_sites, linears},
    method::{AdapterPart, Attachment},
    slots,
    weights_file::is_finite,
};

/// The original weights and biases of the layers that an adapter is merged into.
pub(crate) struct Merge {
    /// One list for each part.
    originals: Vec<Vec<Original>>,
    applied: bool,
    /// Whether the adapter is active again after unmerging.
    pub(crate) active_after: bool,
}

/// One original weight.
enum Original {
    /// A weight of the base model.
    Base(Arc<Parameter>, Weight),
    /// A head that shares the embedding's weight: it gets a weight of its own, so the embedding
    /// does not change.
    TiedHead(Arc<UntiedWeight>, DType),
}

impl Merge {
    /// Adds the update of every part to the weight of its layer: all or none.
    ///
    /// # Errors
    /// [`PeftError::NotMergeable`], [`PeftError::TiedEmbedding`], [`PeftError::OtherMerged`],
    /// [`PeftError::NotFinite`] and [`PeftError::Layer`].
    pub(crate) fn new(
        model: &dyn Model,
        name: &str,
        parts: &[AdapterPart],
    ) -> Result<Self, PeftError> {
        if !model.tied_modules().is_empty()
            && parts.iter().any(|part| matches!(part.attachment, Attachment::Embedding(_)))
        {
            return Err(PeftError::TiedEmbedding);
        }
        let active_after = slots::is_active(model, name, parts);
        let sites = all_sites(model);
        let mut originals = Vec::new();
        for part in parts {
            let site = sites.iter().find(|site| site.path == part.site);
            let site = site
                .filter(|_| {
                    !matches!(
                        part.attachment,
                        Attachment::Prompt(_) | Attachment::Prefix(_) | Attachment::ResidualAdd(_)
                    )
                })
                .ok_or_else(not_mergeable)?;
            refuse_other_merge(*site, name)?;
            originals.push(originals_of(model, site.layer, part));
        }
        let mut merge = Self { originals, applied: false, active_after };
        merge.apply(model, parts)?;
        Ok(merge)
    }

    /// Whether the update is in the weights now; it is not while the adapter is inactive.
    pub(crate) fn is_applied(&self) -> bool {
        self.applied
    }

    /// Computes the merged weights from the original weights and sets them.
    ///
    /// # Errors
    /// [`PeftError::NotFinite`], [`PeftError::Layer`]; the weights are then unchanged.
    pub(crate) fn apply(
        &mut self,
        model: &dyn Model,
        parts: &[AdapterPart],
    ) -> Result<(), PeftError> {
        // An update may depend on the original weights of the base model.
        self.restore()?;
        self.add(model, parts).inspect_err(|_| drop(self.restore()))?;
        self.applied = true;
        Ok(())
    }

    fn add(&self, model: &dyn Model, parts: &[AdapterPart]) -> Result<(), PeftError> {
        let linears = linears(model);
        // Weights that are replaced come first, so that updates are added to the replaced weights.
        self.replace(&linears, parts)?;
        for (part, originals) in parts.iter().zip(&self.originals) {
            match (&part.attachment, linears.get(&part.site), originals.as_slice()) {
                (Attachment::Linear(adapter), Some(linear), [weight, bias @ ..]) => {
                    let delta = adapter.delta(linear)?.ok_or_else(not_mergeable)?; // (d_out, d_in)
                    let bias_delta = adapter.bias_delta(linear)?; // (d_out)
                    let base = linear
                        .untied_weight()
                        .get()
                        .unwrap_or_else(|| linear.weight().base_value());
                    weight.set(&sum(&base, &delta)?)?;
                    if let (Some(original), Some(delta), Some(bias)) =
                        (bias.first(), bias_delta, linear.bias())
                    {
                        original.set(&sum(&bias.base_value(), &delta)?)?;
                    }
                }
                (Attachment::Embedding(adapter), _, [weight]) => {
                    let embedding = embedding(model, &part.site).ok_or_else(not_mergeable)?;
                    weight
                        .set(&sum(&embedding.weight().base_value(), &adapter.delta(embedding)?)?)?; // (V, C)
                }
                (Attachment::Weight(..), _, [_]) | (Attachment::Head(_), Some(_), [_]) => {}
                _ => return Err(not_mergeable()),
            }
        }
        Ok(())
    }

    /// Sets the weights that parts replace as a whole.
    fn replace(
        &self,
        linears: &BTreeMap<String, &Linear>,
        parts: &[AdapterPart],
    ) -> Result<(), PeftError> {
        for (part, originals) in parts.iter().zip(&self.originals) {
            match (&part.attachment, linears.get(&part.site), originals.as_slice()) {
                (Attachment::Weight(_, weight_override), _, [original]) => {
                    original.set(&weight_override.tensor().detach())?
                }
                (Attachment::Head(weight_override), Some(_), [original]) => {
                    original.set(&weight_override.tensor().detach())?
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Restores the original weights.
    ///
    /// # Errors
    /// [`PeftError::Layer`].
    pub(crate) fn restore(&mut self) -> Result<(), PeftError> {
        for original in self.originals.iter().flatten() {
            match original {
                Original::Base(parameter, weight) => parameter.set(weight.clone())?,
                Original::TiedHead(own, _) => own.set(None),
            }
        }
        self.applied = false;
        Ok(())
    }
}

impl Original {
    /// Replaces the weight, in its own type. A quantized weight is replaced by f32, because
    /// quantizing again would lose the update.
    fn set(&self, tensor: &Tensor) -> Result<(), PeftError> {
        let (name, dtype) = match self {
            Self::Base(parameter, weight) => (parameter.path(), weight.dtype()),
            Self::TiedHead(_, dtype) => ("the head's weight", *dtype),
        };
        let tensor = tensor.to_dtype(dtype)?.copy()?;
        if !is_finite(&tensor)? {
            return Err(PeftError::NotFinite { name: name.to_owned() });
        }
        match self {
            Self::Base(parameter, _) => Ok(parameter.set(tensor)?),
            Self::TiedHead(own, _) => {
                own.set(Some(tensor));
                Ok(())
            }
        }
    }
}

/// The original weights of the layer that a part changes.
fn originals_of(model: &dyn Model, layer: Layer<'_>, part: &AdapterPart) -> Vec<Original> {
    if let (Layer::Linear(linear), true) =
        (layer, model.tied_head().is_some_and(|head| head.path() == part.site))
    {
        return match &part.attachment {
            // A weight that also belongs to the embedding, such as one in the adapter's file.
            Attachment::Weight(..) => original_parameters(layer, part),
            _ => tied_head_originals(linear),
        };
    }
    original_parameters(layer, part)
}

fn tied_head_originals(head: &Linear) -> Vec<Original> {
    let bias = head.shared_bias().map(|bias| Original::Base(bias.clone(), own(&bias)));
    std::iter::once(Original::TiedHead(head.untied_weight(), head.weight().base_weight().dtype()))
        .chain(bias)
        .collect()
}

fn original_parameters(layer: Layer<'_>, part: &AdapterPart) -> Vec<Original> {
    let changes = |parameter: &Arc<Parameter>| {
        if let Attachment::Weight(path, _) = &part.attachment {
            parameter.path() == path
        } else {
            true
        }
    };
    layer
        .shared_parameters()
        .into_iter()
        .filter(changes)
        .map(|parameter| Original::Base(parameter.clone(), own(&parameter)))
        .collect()
}

/// A weight of the base model, detached from the graph.
fn own(parameter: &Parameter) -> Weight {
    match parameter.base_weight() {
        Weight::Dense(tensor) => tensor.detach().into(),
        packed @ Weight::Packed(_) => packed,
    }
}

/// A weight plus an update, in f32, so that the sum is rounded once.
fn sum(weight: &Tensor, delta: &Tensor) -> Result<Tensor, PeftError> {
    Ok((weight.detach().to_dtype(DType::F32)? + delta.to_dtype(DType::F32)?)?)
}

fn embedding<'a>(model: &'a dyn Model, path: &str) -> Option<&'a Embedding> {
    model.sites().into_iter().find(|site| site.path == path).and_then(|site| {
        if let Layer::Embedding(embedding) = site.layer { Some(embedding) } else { None }
    })
}

fn not_mergeable() -> PeftError {
    PeftError::NotMergeable
}

/// Refuses a second merge into the same layer: unmerging restores the weights from before the first
/// merge, which would undo the second merge too.
fn refuse_other_merge(site: Site<'_>, name: &str) -> Result<(), PeftError> {
    let mut merged = Vec::new();
    if let Layer::Linear(linear) = site.layer {
        let (slot, overrides) = (linear.slot(), linear.overrides());
        merged.extend(
            slot.names()
                .into_iter()
                .filter(|other| slot.get(other).is_some_and(|adapter| adapter.is_merged())),
        );
        merged.extend(overrides.names().into_iter().filter(|other| {
            overrides.get(other).is_some_and(|weight_override| weight_override.is_merged())
        }));
    }
    if let Layer::Embedding(embedding) = site.layer {
        let slot = embedding.slot();
        merged.extend(
            slot.names()
                .into_iter()
                .filter(|other| slot.get(other).is_some_and(|adapter| adapter.is_merged())),
        );
    }
    for parameter in site.layer.parameters() {
        let slot = parameter.overrides();
        merged.extend(slot.names().into_iter().filter(|other| {
            slot.get(other).is_some_and(|weight_override| weight_override.is_merged())
        }));
    }
    match merged.into_iter().find(|other| other != name) {
        None => Ok(()),
        Some(other) => Err(PeftError::OtherMerged { other, path: site.path.to_owned() }),
    }
}
