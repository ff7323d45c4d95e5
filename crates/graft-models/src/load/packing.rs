//! Quantization on loading: `load_in_4bit` and `load_in_8bit`, for QLoRA.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use graft_nn::{Device, Layer, Model, Packed, Quantization, Weight, packable};
use graft_spec::{Settings, training::MODEL};

use crate::ModelError;

/// The quantization that the settings of `%model load` request.
///
/// # Errors
/// [`ModelError::TwoQuantizations`] if the settings contradict each other.
pub(super) fn asked(settings: &Settings) -> Result<Option<Quantization>, ModelError> {
    match (settings.bool(MODEL, "load_in_4bit"), settings.bool(MODEL, "load_in_8bit")) {
        (false, false) => Ok(None),
        (true, true) => Err(ModelError::TwoQuantizations),
        (true, false) => Ok(Some(Quantization::Nf4 {
            double: settings.bool(MODEL, "bnb_4bit_use_double_quant"),
        })),
        (false, true) => Ok(Some(Quantization::Int8)),
    }
}

/// Quantizes all linear layers except the head, one after another.
///
/// # Errors
/// [`ModelError::Layer`] if a weight contains NaN or infinite values; the previous layers are then
/// already quantized.
pub(super) fn pack(
    model: &dyn Model,
    quantization: Quantization,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), ModelError> {
    let layers = packable(model);
    for (done, linear) in layers.iter().enumerate() {
        linear.weight().pack(quantization)?;
        progress("packing", done as u64 + 1, layers.len() as u64);
    }
    Ok(())
}

/// Sets the weights that are stored quantized, on the device of their products.
///
/// # Errors
/// [`ModelError::Malformed`] for a weight that does not belong to a linear layer or is stored
/// transposed; [`ModelError::Layer`] if the GPU has too little free memory.
pub(super) fn put(
    model: &dyn Model,
    mut packed: BTreeMap<String, Packed>,
    device: &Device,
    path: &Path,
) -> Result<(), ModelError> {
    for site in model.sites() {
        let Layer::Linear(linear) = site.layer else { continue };
        let Some(weight) = packed.remove(linear.weight().path()) else { continue };
        if linear.fan_in_fan_out() {
            let problem = format!(
                "`{}` is quantized and stored transposed, which is not supported",
                linear.path()
            );
            return Err(ModelError::Malformed { path: path.to_owned(), problem });
        }
        linear.weight().set(Weight::Packed(Arc::new(weight.to_device(device)?)))?;
    }
    match packed.keys().next() {
        None => Ok(()),
        Some(name) => Err(ModelError::Malformed {
            path: path.to_owned(),
            problem: format!("`{name}` is quantized, but only linear layers can be"),
        }),
    }
}
