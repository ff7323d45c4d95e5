//! Selection of the weights that SHiRA trains.

use graft_nn::{DType, Device, Linear, Tensor};

use crate::{
    PeftError,
    torch_rng::TorchRng,
    weights_file::{Weights, WeightsFile},
};

/// PyTorch uses another algorithm for permutations of this size and larger.
const MAX_WEIGHTS: usize = (u32::MAX / 20) as usize;

/// The random indices of HF PEFT, ascending, into the flattened weight.
///
/// # Errors
/// [`PeftError::SparseRankTooLarge`], [`PeftError::LayerTooLarge`].
pub(super) fn drawn(linear: &Linear, r: usize, seed: u64) -> Result<Vec<u32>, PeftError> {
    let (sides, all) = (linear.d_in() + linear.d_out(), linear.d_in() * linear.d_out());
    let wanted = r.saturating_mul(sides);
    if wanted > all {
        return Err(PeftError::SparseRankTooLarge {
            r,
            path: linear.path().to_owned(),
            wanted,
            available: all,
            most: all / sides,
        });
    }
    check_size(linear, all)?;
    // torch uses the lower half of the seed.
    let mut indices = TorchRng::new(seed as u32).permutation(all as u32, wanted);
    indices.sort_unstable();
    Ok(indices)
}

/// The indices in a file, which may come from any mask.
///
/// # Errors
/// [`PeftError::WrongShape`], [`PeftError::LayerTooLarge`], [`PeftError::InvalidIndices`].
pub(super) fn stored(
    linear: &Linear,
    file: &WeightsFile,
    key: &str,
) -> Result<Vec<u32>, PeftError> {
    let (all, found) = (
        linear.d_in() * linear.d_out(),
        file.shape(key).map(|(shape, _)| shape).unwrap_or_default(),
    );
    check_size(linear, all)?;
    let [2, count] = found[..] else {
        return Err(wrong_shape(file, key, all, found));
    };
    if count > all {
        return Err(wrong_shape(file, key, all, found));
    }
    // f64 represents all whole numbers up to the largest width exactly.
    let table = file.tensor(key)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let indices: Option<Vec<u32>> =
        table[0].iter().zip(&table[1]).map(|(row, column)| index(linear, *row, *column)).collect();
    indices.ok_or_else(|| PeftError::InvalidIndices {
        key: key.to_owned(),
        path: linear.path().to_owned(),
        d_in: linear.d_in(),
        d_out: linear.d_out(),
    })
}

/// The error for a table of indices that is not (2, k) with k of at most `all`.
fn wrong_shape(file: &WeightsFile, key: &str, all: usize, found: Vec<usize>) -> PeftError {
    PeftError::WrongShape {
        path: file.path().to_owned(),
        name: key.to_owned(),
        expected: vec![2, all],
        found,
    }
}

/// The index of a weight in its matrix, or `None` if the matrix has no such row or column.
fn index(linear: &Linear, row: f64, column: f64) -> Option<u32> {
    let fits =
        |number: f64, size: usize| number.fract() == 0.0 && (0.0..size as f64).contains(&number);
    (fits(row, linear.d_out()) && fits(column, linear.d_in()))
        .then(|| (row as usize * linear.d_in() + column as usize) as u32)
}

/// The rows and columns in HF PEFT's format, (2, k).
///
/// # Errors
/// Returns an error if a candle operation fails.
pub(super) fn table(linear: &Linear, indices: &[u32]) -> Result<Tensor, PeftError> {
    let width = linear.d_in() as u32;
    let rows = indices.iter().map(|index| (index / width) as i32);
    let table: Vec<i32> = rows.chain(indices.iter().map(|index| (index % width) as i32)).collect();
    Ok(Tensor::from_vec(table, (2, indices.len()), &Device::Cpu)?)
}

fn check_size(linear: &Linear, all: usize) -> Result<(), PeftError> {
    if all < MAX_WEIGHTS {
        return Ok(());
    }
    Err(PeftError::LayerTooLarge {
        path: linear.path().to_owned(),
        weights: all,
        most: MAX_WEIGHTS,
    })
}
