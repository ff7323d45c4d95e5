//! An adapter's change added to the base weights, with the base's own weights kept to be put back bit for bit.

use std::sync::Arc;

use graft_nn::{DType, Embedding, Layer, Model, Parameter, Tensor, Weight};

use crate::{
    PeftError,
    layers::linears,
    methods::{Hook, Part},
    slots,
    weights_file::is_finite,
};

/// The weights and biases that an adapter is merged into, as they were before.
pub(crate) struct Merge {
    /// Of each part.
    originals: Vec<Vec<Original>>,
    applied: bool,
    /// Whether it acts beside the weights when the merge is taken back.
    pub(crate) acts_after: bool,
}

/// One weight before the merge.
type Original = (Arc<Parameter>, Weight);

impl Merge {
    /// Adds the change of every part to its layer's weight: all or none.
    ///
    /// # Errors
    /// [`PeftError::Refused`] for a part that is no change of a weight and for a layer with another merged adapter,
    /// [`PeftError::NotFinite`], [`PeftError::Layer`].
    pub(crate) fn new(model: &dyn Model, name: &str, parts: &[Part]) -> Result<Self, PeftError> {
        if model.shape().tied && parts.iter().any(|part| matches!(part.hook, Hook::Embedding(_) | Hook::Head(_))) {
            let problem = "the embedding shares its weight with the head, so a merge into one of them would change the other too";
            return Err(PeftError::refused("peft::tied_embedding", problem, "keep it attached; it is saved and loaded by itself"));
        }
        let acts_after = slots::is_active(model, name, parts);
        let mut originals = Vec::new();
        for part in parts {
            let site = model.sites().into_iter().find(|site| site.path == part.site);
            let layer = site
                .map(|site| site.layer)
                .filter(|_| !matches!(part.hook, Hook::Prompt(_) | Hook::Prefix(_) | Hook::Junction(_)))
                .ok_or_else(not_mergeable)?;
            refuse_second(layer, &part.site, name)?;
            let changes = |parameter: &Arc<Parameter>| if let Hook::Weight(path, _) = &part.hook { parameter.path() == path } else { true };
            let kept = layer.shared_parameters().into_iter().filter(changes).map(|parameter| (parameter.clone(), kept(&parameter)));
            originals.push(kept.collect());
        }
        let mut merge = Self { originals, applied: false, acts_after };
        merge.apply(model, parts)?;
        Ok(merge)
    }

    /// Whether the change is in the weights now; it is not while the adapter is switched off.
    pub(crate) fn is_applied(&self) -> bool {
        self.applied
    }

    /// Computes the sums anew from the kept weights and puts them in place.
    ///
    /// # Errors
    /// [`PeftError::NotFinite`], [`PeftError::Layer`]; the weights are then as they were.
    pub(crate) fn apply(&mut self, model: &dyn Model, parts: &[Part]) -> Result<(), PeftError> {
        // What an adapter adds may depend on the base's own weights.
        self.restore()?;
        let linears = linears(model);
        let mut merged = Vec::new();
        for (part, originals) in parts.iter().zip(&self.originals) {
            match (&part.hook, linears.get(&part.site), originals.as_slice()) {
                (Hook::Linear(adapter), Some(linear), [weight, bias @ ..]) => {
                    merged.push(sum(weight, &adapter.delta(linear)?.ok_or_else(not_mergeable)?)?); // (d_out, d_in)
                    if let (Some(bias), Some(delta)) = (bias.first(), adapter.bias_delta(linear)?) {
                        merged.push(sum(bias, &delta)?); // (d_out)
                    }
                }
                (Hook::Embedding(adapter), _, [weight]) => {
                    let embedding = embedding(model, &part.site).ok_or_else(not_mergeable)?;
                    merged.push(sum(weight, &adapter.delta(embedding)?)?); // (V, C)
                }
                (Hook::Weight(_, stand_in), _, [weight]) => merged.push(rounded(weight, &stand_in.tensor().detach())?),
                _ => return Err(not_mergeable()),
            }
        }
        for (parameter, tensor) in merged {
            parameter.set(tensor)?;
        }
        self.applied = true;
        Ok(())
    }

    /// Puts the kept weights back.
    ///
    /// # Errors
    /// [`PeftError::Layer`].
    pub(crate) fn restore(&mut self) -> Result<(), PeftError> {
        for (parameter, tensor) in self.originals.iter().flatten() {
            parameter.set(tensor.clone())?;
        }
        self.applied = false;
        Ok(())
    }
}

/// A weight as it is, free of the graph.
fn kept(parameter: &Parameter) -> Weight {
    match parameter.own_weight() {
        Weight::Dense(tensor) => tensor.detach().into(),
        packed @ Weight::Packed(_) => packed,
    }
}

/// A kept weight plus a change, in 32 bits, rounded once.
fn sum<'a>(original: &'a Original, delta: &Tensor) -> Result<(&'a Arc<Parameter>, Tensor), PeftError> {
    rounded(original, &(original.1.tensor().to_dtype(DType::F32)? + delta.to_dtype(DType::F32)?)?)
}

/// What takes the place of a kept weight, in that weight's own type; a packed one gives way to 32-bit numbers, since packed again it would lose the change.
fn rounded<'a>((parameter, original): &'a Original, tensor: &Tensor) -> Result<(&'a Arc<Parameter>, Tensor), PeftError> {
    let tensor = tensor.to_dtype(original.dtype())?.copy()?;
    if !is_finite(&tensor)? {
        return Err(PeftError::NotFinite { name: parameter.path().to_owned() });
    }
    Ok((parameter, tensor))
}

fn embedding<'a>(model: &'a dyn Model, path: &str) -> Option<&'a Embedding> {
    model.sites().into_iter().find(|site| site.path == path).and_then(|site| if let Layer::Embedding(embedding) = site.layer { Some(embedding) } else { None })
}

fn not_mergeable() -> PeftError {
    let problem = "this method is no change of the weights, so it cannot be merged into them";
    PeftError::refused("peft::not_mergeable", problem, "keep it attached; it is saved and loaded by itself")
}

/// Weights are put back as they were before a merge; with two merges in one layer that would take the other one away too.
fn refuse_second(layer: Layer<'_>, path: &str, name: &str) -> Result<(), PeftError> {
    let mut merged = Vec::new();
    if let Layer::Linear(linear) = layer {
        let slot = linear.slot();
        merged.extend(slot.names().into_iter().filter(|other| slot.get(other).is_some_and(|adapter| adapter.is_merged())));
    }
    if let Layer::Embedding(embedding) = layer {
        let slot = embedding.slot();
        merged.extend(slot.names().into_iter().filter(|other| slot.get(other).is_some_and(|adapter| adapter.is_merged())));
    }
    for parameter in layer.parameters() {
        let slot = parameter.stand_ins();
        merged.extend(slot.names().into_iter().filter(|other| slot.get(other).is_some_and(|stand_in| stand_in.is_merged())));
    }
    match merged.into_iter().find(|other| other != name) {
        None => Ok(()),
        Some(other) => {
            let problem = format!("adapter `{other}` is merged into `{path}` already, and a layer takes one merge");
            Err(PeftError::refused("peft::other_merged", problem, format!("unmerge `{other}` first, or let both act unmerged")))
        }
    }
}
