//! An adapter's change added to the base weights, with the base's own weights kept to be put back bit for bit.

use std::sync::Arc;

use graft_nn::{DType, Linear, Model, Parameter, Tensor};

use crate::{
    PeftError,
    layers::linears,
    methods::{Hook, Part},
    slots,
    weights_file::is_finite,
};

/// The weights and biases that an adapter is merged into, as they were before.
pub(crate) struct Merge {
    originals: Vec<Original>,
    applied: bool,
    /// Whether it acts beside the weights when the merge is taken back.
    pub(crate) acts_after: bool,
}

/// One layer's weight and bias before the merge.
struct Original {
    weight: (Arc<Parameter>, Tensor),
    bias: Option<(Arc<Parameter>, Tensor)>,
}

impl Merge {
    /// Adds the change of every part to its layer's weight: all or none.
    ///
    /// # Errors
    /// [`PeftError::Refused`] for a part that is no change of a weight and for a layer with another merged adapter,
    /// [`PeftError::NotFinite`], [`PeftError::Layer`].
    pub(crate) fn new(model: &dyn Model, name: &str, parts: &[Part]) -> Result<Self, PeftError> {
        let acts_after = slots::is_active(model, name, parts);
        let linears = linears(model);
        let mut originals = Vec::new();
        for part in parts {
            let Some(linear) = linears.get(&part.site).filter(|_| matches!(part.hook, Hook::Linear(_))) else { return Err(not_mergeable()) };
            refuse_second(linear, name)?;
            let kept = |parameter: Arc<Parameter>| (parameter.clone(), parameter.tensor().detach());
            originals.push(Original { weight: kept(linear.shared_weight()), bias: linear.shared_bias().map(kept) });
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
        let mut sums = Vec::new();
        for (part, original) in parts.iter().zip(&self.originals) {
            let (Some(linear), Hook::Linear(adapter)) = (linears.get(&part.site), &part.hook) else { continue };
            let delta = adapter.delta(linear)?.ok_or_else(not_mergeable)?;
            sums.push(sum(&original.weight, &delta)?); // (d_out, d_in)
            if let (Some(bias), Some(delta)) = (&original.bias, adapter.bias_delta(linear)?) {
                sums.push(sum(bias, &delta)?); // (d_out)
            }
        }
        for (parameter, sum) in sums {
            parameter.set(sum)?;
        }
        self.applied = true;
        Ok(())
    }

    /// Puts the kept weights back.
    ///
    /// # Errors
    /// [`PeftError::Layer`].
    pub(crate) fn restore(&mut self) -> Result<(), PeftError> {
        for original in &self.originals {
            for (parameter, tensor) in std::iter::once(&original.weight).chain(&original.bias) {
                parameter.set(tensor.clone())?;
            }
        }
        self.applied = false;
        Ok(())
    }
}

/// A kept weight plus a change, in 32 bits, rounded once to the weight's own type.
fn sum<'a>((parameter, original): &'a (Arc<Parameter>, Tensor), delta: &Tensor) -> Result<(&'a Arc<Parameter>, Tensor), PeftError> {
    let sum = (original.to_dtype(DType::F32)? + delta.to_dtype(DType::F32)?)?.to_dtype(original.dtype())?;
    if !is_finite(&sum)? {
        return Err(PeftError::NotFinite { name: parameter.path().to_owned() });
    }
    Ok((parameter, sum))
}

fn not_mergeable() -> PeftError {
    let problem = "this method is no change of the weights, so it cannot be merged into them";
    PeftError::refused("peft::not_mergeable", problem, "keep it attached; it is saved and loaded by itself")
}

/// Weights are put back as they were before a merge; with two merges in one layer that would take the other one away too.
fn refuse_second(linear: &Linear, name: &str) -> Result<(), PeftError> {
    let is_merged = |other: &String| linear.slot().get(other).is_some_and(|adapter| adapter.is_merged());
    match linear.slot().names().into_iter().find(|other| other != name && is_merged(other)) {
        None => Ok(()),
        Some(other) => {
            let problem = format!("adapter `{other}` is merged into `{}` already, and a layer takes one merge", linear.path());
            Err(PeftError::refused("peft::other_merged", problem, format!("unmerge `{other}` first, or let both act unmerged")))
        }
    }
}
