//! The tensors of a saved model.

use std::collections::{BTreeMap, BTreeSet};

use graft_nn::{DType, Layer, Model, NnError, Parameter, Site, Tensor, Weight};
use serde_json::Value;

use crate::bnb;

/// The tensors by name, and `quantization_config` if some of them are quantized.
///
/// # Errors
/// Returns an error if the underlying candle operation fails.
pub(super) fn of(
    model: &dyn Model,
    dtype: DType,
) -> Result<(BTreeMap<String, Tensor>, Option<Value>), NnError> {
    let sites = model.sites();
    let transposed: BTreeSet<_> = sites
        .iter()
        .filter(|site| is_transposed(site))
        .map(|site| format!("{}.weight", site.path))
        .collect();
    let mut all = BTreeMap::new();
    let mut double_quant = None;
    for parameter in model.parameters() {
        let path = parameter.path();
        let is_transposed = transposed.contains(path);
        // Files store the weights of GPT-2 transposed, so they are saved unquantized.
        let quantized = match parameter.weight() {
            Weight::Packed(packed) if !is_transposed => bnb::tensors(path, &packed)?,
            _ => None,
        };
        match quantized {
            Some(tensors) => {
                let is_double = tensors.iter().any(|(name, _)| name.ends_with(".nested_absmax"));
                double_quant = Some(is_double);
                all.extend(tensors);
            }
            None => drop(all.insert(path.to_owned(), plain(parameter, is_transposed, dtype)?)),
        }
    }
    // A head that was untied from the embedding, for example by a merge, is saved separately.
    if let Some(head) = model.tied_head()
        && let Some(weight) = head.separate_weight()
    {
        all.insert(format!("{}.weight", head.path()), weight.detach().to_dtype(dtype)?);
    }
    let quantization =
        double_quant.map(|double| bnb::config(double, &unquantized(model, &sites, &all)));
    Ok((all, quantization))
}

fn is_transposed(site: &Site<'_>) -> bool {
    matches!(site.layer, Layer::Linear(linear) if linear.fan_in_fan_out())
}

/// A parameter in the layout of the file; matrices have the type `dtype`, vectors are f32.
fn plain(
    parameter: &Parameter,
    is_transposed: bool,
    dtype: DType,
) -> Result<Tensor, candle_core::Error> {
    let tensor = parameter.tensor().detach();
    let tensor = if is_transposed { tensor.t()?.contiguous()? } else { tensor };
    tensor.to_dtype(if tensor.rank() == 1 { DType::F32 } else { dtype })
}

/// Paths of the linear layers that are not quantized.
fn unquantized(
    model: &dyn Model,
    sites: &[Site<'_>],
    tensors: &BTreeMap<String, Tensor>,
) -> Vec<String> {
    let is_plain = |site: &&Site<'_>| {
        let Layer::Linear(linear) = site.layer else { return false };
        tensors.get(linear.weight().path()).is_some_and(|tensor| tensor.dtype() != DType::U8)
    };
    let mut paths: Vec<_> =
        sites.iter().filter(is_plain).map(|site| site.path.to_owned()).collect();
    // Otherwise transformers would quantize a tied head as well.
    paths.extend(model.tied_head().map(|head| head.path().to_owned()));
    paths
}
