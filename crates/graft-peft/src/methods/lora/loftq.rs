//! LoftQ: A and B are initialized with the best rank-r approximation of the quantization error.
//!
//! # Mathematics
//! With the quantized weight Q and `W - Q = U Σ Vᵀ`: `A = √(Σ_r/s) V_rᵀ`, `B = U_r √(Σ_r/s)`, so
//! that `Q + s B A` is as close to W as any sum of Q and a matrix of rank r. This is one iteration
//! of the paper's alternation, as in HF PEFT's `replace_lora_weights_loftq`; more iterations would
//! quantize the base again and break other adapters.
//! # Shapes
//! `W, Q: (d_out, d_in)`, `A: (r, d_in)`, `B: (d_out, r)`
//! # Source
//! Li et al. 2023, arXiv:2310.08659

use std::collections::BTreeMap;

use graft_nn::{DType, Device, Linear, Tensor, Weight};

use super::{LoraConfig, data_init::DataInit, init::leading_part};
use crate::{AttachContext, PeftError, config_file::ConfigFile};

/// Compares the quantized weights with the original ones.
///
/// # Errors
/// [`PeftError::NotPacked`] for a layer that is not quantized, [`PeftError::NoOriginals`], and
/// errors of reading the original weight.
pub(super) fn find(
    cx: &AttachContext<'_>,
    config: &ConfigFile,
    lora: &LoraConfig,
    layers: &[&Linear],
) -> Result<DataInit, PeftError> {
    let originals = cx.originals.ok_or(PeftError::NoOriginals)?;
    let mut weights = BTreeMap::new();
    let (mut whole, mut before, mut after) = (0.0, 0.0, 0.0);
    for linear in layers {
        if !matches!(linear.weight().base_weight(), Weight::Packed(_)) {
            return Err(PeftError::NotPacked { path: linear.path().to_owned() });
        }
        let (r, s) = lora.ranks.rank_and_scaling(linear.path());
        let wide = |tensor: Tensor| tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64);
        let w = wide(originals.weight(linear)?)?; // (d_out, d_in)
        let lost = (&w - wide(linear.weight().base_value())?)?;
        let (a, b) = leading_part(&lost, r, s, "loftq")?; // (r, d_in), (d_out, r)
        let left = (&lost - (b.matmul(&a)? * s)?)?;
        let square = |tensor: &Tensor| Ok::<f64, PeftError>(tensor.sqr()?.sum_all()?.to_scalar()?);
        whole += square(&w)?;
        before += square(&lost)?;
        after += square(&left)?;
        weights.insert(
            linear.path().to_owned(),
            (a.to_dtype(DType::F32)?, Some(b.to_dtype(DType::F32)?)),
        );
    }
    let percent = |square: f64| 100.0 * (square / whole.max(f64::MIN_POSITIVE)).sqrt();
    let note = format!(
        "LoftQ: the quantization error is {:.2} % of the weights, with A and B {:.2} %",
        percent(before),
        percent(after)
    );
    // The file contains an ordinary LoRA: A and B represent the whole adapter.
    let mut config = config.clone();
    config.set("init_lora_weights", true.into());
    Ok(DataInit { config: Some(config), weights, note: Some(note) })
}
