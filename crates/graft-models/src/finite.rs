//! Check for NaN and infinite values.

use graft_nn::{DType, Tensor};

/// Whether all elements of a tensor in main memory are finite.
///
/// # Errors
/// Returns an error if the underlying candle operation fails.
pub(crate) fn is_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    // Half precision is converted in pieces, so that a large matrix is not copied as a whole.
    const PIECE: usize = 1 << 20;
    let flat = tensor.flatten_all()?;
    let count = flat.elem_count();
    if matches!(flat.dtype(), DType::U8 | DType::U32 | DType::I64) {
        return Ok(true);
    }
    for start in (0..count).step_by(PIECE) {
        let piece = flat.narrow(0, start, PIECE.min(count - start))?.to_dtype(DType::F32)?;
        // An f64 outside the range of f32 becomes infinite in the model, so it counts as infinite.
        if !piece.to_vec1::<f32>()?.iter().all(|value| value.is_finite()) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use graft_nn::Device;

    use super::*;

    #[test]
    fn one_nan_or_infinity_anywhere_is_found_in_every_type() {
        let values = |at: Option<(usize, f32)>| {
            let mut values = vec![0.5f32; (1 << 20) + 7];
            at.into_iter().for_each(|(at, value)| values[at] = value);
            Tensor::from_vec(values, (1 << 20) + 7, &Device::Cpu).unwrap()
        };
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            assert!(is_finite(&values(None).to_dtype(dtype).unwrap()).unwrap());
            for (at, value) in
                [(0, f32::NAN), (1 << 20, f32::INFINITY), ((1 << 20) + 6, f32::NEG_INFINITY)]
            {
                assert!(
                    !is_finite(&values(Some((at, value))).to_dtype(dtype).unwrap()).unwrap(),
                    "{dtype:?} {at}"
                );
            }
        }
    }
}
