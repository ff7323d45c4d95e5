//! `load_in_4bit` and `load_in_8bit`: the base of QLoRA.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use graft_nn::{Device, Layer, Model, Packed, Quantization, Weight, packable};
use graft_spec::{Failure, Settings, training::MODEL};

use crate::ModelError;

/// How the keys of `%model load` ask for the linear layers to be packed.
///
/// # Errors
/// A [`Failure`] when they contradict each other.
pub(super) fn asked(settings: &Settings) -> Result<Option<Quantization>, Failure> {
    match (settings.bool(MODEL, "load_in_4bit"), settings.bool(MODEL, "load_in_8bit")) {
        (false, false) => Ok(None),
        (true, true) => {
            let failure = Failure::new(
                "models::packing",
                "load_in_4bit and load_in_8bit cannot both be true",
            );
            Err(failure.hint(
                "4 bits use half the memory of 8 bits; 8 bits are about ten times more accurate",
            ))
        }
        (true, false) => Ok(Some(Quantization::Nf4 {
            double: settings.bool(MODEL, "bnb_4bit_use_double_quant"),
        })),
        (false, true) => Ok(Some(Quantization::Int8)),
    }
}

/// Packs the linear layers but the head, one after another.
///
/// # Errors
/// [`ModelError::Layer`] when a weight holds a NaN or an infinity; the layers before it are packed then.
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

/// Puts weights that came packed in their places, on the device that multiplies by them.
///
/// # Errors
/// [`ModelError::Malformed`] for one that belongs to no linear layer, or to one that is stored the other way round; [`ModelError::Layer`] when a card
/// has no room for it.
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
