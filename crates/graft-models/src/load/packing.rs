//! `load_in_4bit` and `load_in_8bit`: the base of QLoRA.

use graft_nn::{Device, Model, Quantization, packable};
use graft_protocol::{Failure, Settings, training::MODEL};

use crate::ModelError;

/// How the keys of `%model load` ask for the linear layers to be packed.
///
/// # Errors
/// A [`Failure`] when they contradict each other or the device.
pub(super) fn asked(settings: &Settings, device: &Device) -> Result<Option<Quantization>, Failure> {
    let quantization = match (settings.bool(MODEL, "load_in_4bit"), settings.bool(MODEL, "load_in_8bit")) {
        (false, false) => return Ok(None),
        (true, true) => {
            let failure = Failure::new("models::packing", "load_in_4bit and load_in_8bit cannot both be true");
            return Err(failure.hint("4 bits take half the memory of 8, 8 bits keep the numbers ten times closer"));
        }
        (true, false) => Quantization::Nf4 { double: settings.bool(MODEL, "bnb_4bit_use_double_quant") },
        (false, true) => Quantization::Int8,
    };
    if device.is_cpu() {
        return Ok(Some(quantization));
    }
    let failure = Failure::new("models::packing", "packed weights are multiplied on the processor only");
    Err(failure.hint("%device cpu, or load with dtype=bf16, which a card multiplies itself"))
}

/// Packs the linear layers but the head, one after another.
///
/// # Errors
/// [`ModelError::Layer`] when a weight holds a NaN or an infinity; the layers before it are packed then.
pub(super) fn pack(model: &dyn Model, quantization: Quantization, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<(), ModelError> {
    let layers = packable(model);
    for (done, linear) in layers.iter().enumerate() {
        linear.weight().pack(quantization)?;
        progress("packing", done as u64 + 1, layers.len() as u64);
    }
    Ok(())
}
