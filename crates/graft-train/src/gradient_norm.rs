//! The global norm of gradients, clipping, and checks for NaN and infinity.

use candle_core::CpuStorage;
use graft_nn::{Tensor, Trainable};
use rayon::prelude::*;

use crate::{Result, TrainError};

/// Elements summed by one task.
const PIECE: usize = 1 << 16;

/// Global norm of gradients, computed in 64-bit floats.
///
/// ```text
/// norm = sqrt(sum over parameters and elements of g²)
/// ```
/// # Errors
/// [`TrainError::NotFinite`] with the name of the first parameter whose gradient is NaN or
/// infinite.
pub(crate) fn global_norm(
    trainables: &[Trainable],
    gradients: &[Tensor],
    step: u64,
) -> Result<f64> {
    let mut sum = 0.0;
    for (trainable, gradient) in trainables.iter().zip(gradients) {
        let squares = sum_of_squares(gradient)?;
        if !squares.is_finite() {
            return Err(TrainError::NotFinite {
                step,
                tensor: format!("the gradient of `{}`", trainable.name),
                taken_back: false,
            });
        }
        sum += squares;
    }
    Ok(sum.sqrt())
}

/// The factor that clips gradients of global norm `norm` to `max_norm`.
///
/// ```text
/// min(1, max_norm / (norm + 1e-6));  1 when max_norm = 0
/// ```
///
/// # Source
/// Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063; the constant is that of PyTorch's
/// `clip_grad_norm_`.
pub(crate) fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) } else { 1.0 }
}

/// Checks that no parameter is NaN or infinite.
///
/// # Errors
/// [`TrainError::NotFinite`] with the name of the first such parameter.
pub(crate) fn check_finite(trainables: &[Trainable], step: u64) -> Result<()> {
    for trainable in trainables {
        if !sum_of_squares(trainable.var.as_tensor())?.is_finite() {
            return Err(TrainError::NotFinite {
                step,
                tensor: format!("`{}`", trainable.name),
                taken_back: false,
            });
        }
    }
    Ok(())
}

fn sum_of_squares(gradient: &Tensor) -> Result<f64> {
    let flat = gradient.flatten_all()?;
    let (storage, layout) = flat.storage_and_layout();
    if let (candle_core::Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
        (&*storage, layout.contiguous_offsets())
    {
        // Partial sums are added in order: the number of threads does not change the result.
        let pieces: Vec<f64> = values[start..end]
            .par_chunks(PIECE)
            .map(|piece| piece.iter().map(|g| f64::from(*g) * f64::from(*g)).sum())
            .collect();
        return Ok(pieces.iter().sum());
    }
    drop(storage);
    Ok(flat.to_vec1::<f32>()?.iter().map(|g| f64::from(*g) * f64::from(*g)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_nn::{Device, Var};

    #[test]
    fn the_norm_is_taken_over_all_parameters_and_names_the_one_that_is_not_finite() {
        let parameter =
            |name: &str| Trainable::new(name, Var::new(&[0f32], &Device::Cpu).expect("var"));
        let gradient = |values: &[f32]| Tensor::new(values, &Device::Cpu).expect("gradient");
        let parameters = [parameter("a"), parameter("b")];
        let norm =
            global_norm(&parameters, &[gradient(&[2.0]), gradient(&[3.0, 6.0])], 1).expect("norm");
        assert_eq!(norm, 7.0);
        let error = global_norm(&parameters, &[gradient(&[2.0]), gradient(&[3.0, f32::NAN])], 5)
            .expect_err("not finite");
        assert!(
            error.to_string().starts_with("the gradient of `b` is not finite at step 5"),
            "{error}"
        );
    }
}
