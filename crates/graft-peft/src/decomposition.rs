//! Matrix decompositions: singular values for PiSSA and columns for OLoRA, computed in f64 on the
//! CPU so that the same weight always gives the same result.

use candle_core::D;
use graft_nn::{DType, Device, Rng, Tensor};

use crate::PeftError;

/// Extra directions that improve the convergence of the iteration.
const OVERSAMPLING: usize = 16;
/// Maximum number of iterations; random matrices, whose singular values are close together, need
/// the most.
const ROUNDS: usize = 100;
/// Residual at which a direction has converged, relative to the largest eigenvalue.
const TOLERANCE: f64 = 1e-10;

/// The `r` largest singular values of `w` and their vectors.
///
/// Subspace iteration with a Rayleigh-Ritz step; exact if `r` is close to the smaller side.
///
/// # Shapes
/// `w: (m, n)`; returns `U: (m, r)`, `σ: (r)`, `Vᵀ: (r, n)`
/// # Errors
/// Returns an error if a candle operation fails.
/// # Source
/// Halko, Martinsson and Tropp 2011, arXiv:0909.4061, algorithm 4.4
pub(crate) fn singular(w: &Tensor, r: usize) -> Result<(Tensor, Vec<f64>, Tensor), PeftError> {
    singular_within(w, r, ROUNDS)
}

/// [`singular`] with a limit on the iterations, for values that decrease quickly.
pub(crate) fn singular_within(
    w: &Tensor,
    r: usize,
    rounds: usize,
) -> Result<(Tensor, Vec<f64>, Tensor), PeftError> {
    let w = w.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let (m, n) = w.dims2()?;
    if n > m {
        let (u, sigma, vt) = tall(&w.t()?.contiguous()?, r, rounds)?;
        return Ok((vt.t()?.contiguous()?, sigma, u.t()?.contiguous()?));
    }
    tall(&w, r, rounds)
}

/// [`singular_within`] for m >= n.
fn tall(w: &Tensor, r: usize, rounds: usize) -> Result<(Tensor, Vec<f64>, Tensor), PeftError> {
    let n = w.dim(D::Minus1)?;
    let (k, wt) = ((2 * r + OVERSAMPLING).min(n), w.t()?.contiguous()?);
    let random: Vec<f64> = Rng::new(0)
        .stream("decomposition", "start")
        .normal(0.0, 1.0, n * k)
        .into_iter()
        .map(f64::from)
        .collect();
    let mut q = orthonormal(&Tensor::from_vec(random, (n, k), &Device::Cpu)?)?; // (n, k)
    let mut round = 0;
    loop {
        let y = w.matmul(&q)?; // (m, k)
        let z = wt.matmul(&y)?; // (n, k)
        let (values, vectors) = symmetric_eigen(&q.t()?.matmul(&z)?)?; // (k, k)
        let (ritz, image) = (q.matmul(&vectors)?, z.matmul(&vectors)?); // (n, k)
        let largest = values[0].max(f64::MIN_POSITIVE);
        let expected = ritz.broadcast_mul(&Tensor::from_slice(&values, k, &Device::Cpu)?)?; // (n, k)
        let residual: Vec<f64> = (&image - expected)?.sqr()?.sum(0)?.sqrt()?.to_vec1()?;
        round += 1;
        if round == rounds
            || residual.iter().take(r).all(|residual| *residual <= TOLERANCE * largest)
        {
            let sigma: Vec<f64> =
                values.iter().take(r).map(|value| value.max(0.0).sqrt()).collect();
            let inverse: Vec<f64> =
                sigma.iter().map(|sigma| if *sigma > 0.0 { 1.0 / sigma } else { 0.0 }).collect();
            let u = y.matmul(&vectors)?.narrow(1, 0, r)?.broadcast_mul(&Tensor::from_vec(
                inverse,
                r,
                &Device::Cpu,
            )?)?; // (m, r)
            return Ok((u, sigma, ritz.narrow(1, 0, r)?.t()?.contiguous()?)); // (r, n)
        }
        q = orthonormal(&image)?; // (n, k)
    }
}

/// The first `r` columns of Q and rows of R in `w = Q R`. Signs may differ from other
/// implementations; the product does not.
///
/// # Shapes
/// `w: (m, n)`; returns `(m, r)` and `(r, n)`
/// # Errors
/// Returns an error if a candle operation fails.
pub(crate) fn leading_columns(w: &Tensor, r: usize) -> Result<(Tensor, Tensor), PeftError> {
    let w = w.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let q = orthonormal(&w.narrow(1, 0, r)?.contiguous()?)?; // (m, r)
    let rows = q.t()?.matmul(&w)?; // (r, n)
    Ok((q, rows))
}

/// An orthonormal basis of the columns, (m, k): Gram-Schmidt, twice. A column that depends on
/// earlier ones becomes zero.
pub(crate) fn orthonormal(columns: &Tensor) -> Result<Tensor, PeftError> {
    let mut columns: Vec<Vec<f64>> = columns.t()?.to_vec2()?;
    let (k, m) = (columns.len(), columns.first().map_or(0, Vec::len));
    for index in 0..k {
        let (before, rest) = columns.split_at_mut(index);
        let column = &mut rest[0];
        let length = norm(column);
        for _ in 0..2 {
            for other in before.iter() {
                let along: f64 = other.iter().zip(column.iter()).map(|(a, b)| a * b).sum();
                column.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
            }
        }
        let left = norm(column);
        let factor = if left > 1e-12 * length { 1.0 / left } else { 0.0 };
        column.iter_mut().for_each(|value| *value *= factor);
    }
    Ok(Tensor::from_vec(columns.concat(), (k, m), &Device::Cpu)?.t()?.contiguous()?) // (m, k)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Eigenvalues of a symmetric matrix (k, k) in decreasing order, and the eigenvectors as columns:
/// Jacobi's rotations.
fn symmetric_eigen(matrix: &Tensor) -> Result<(Vec<f64>, Tensor), PeftError> {
    let k = matrix.dim(0)?;
    let mut a: Vec<f64> = ((matrix + matrix.t()?)? * 0.5)?.flatten_all()?.to_vec1()?;
    let mut v = vec![0.0; k * k];
    (0..k).for_each(|index| v[index * k + index] = 1.0);
    let size: f64 = a.iter().map(|value| value * value).sum();
    for _ in 0..60 {
        let off: f64 = (0..k * k)
            .filter(|place| place / k != place % k)
            .map(|place| a[place] * a[place])
            .sum();
        if off <= 1e-30 * size {
            break;
        }
        for p in 0..k {
            for q in p + 1..k {
                rotate(&mut a, &mut v, k, (p, q));
            }
        }
    }
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|one, other| a[other * k + other].total_cmp(&a[one * k + one]));
    let values = order.iter().map(|index| a[index * k + index]).collect();
    let vectors = (0..k * k).map(|place| v[place / k * k + order[place % k]]).collect();
    Ok((values, Tensor::from_vec::<_, f64>(vectors, (k, k), &Device::Cpu)?))
}

/// Rotates so that `a[p, q]` becomes zero.
fn rotate(a: &mut [f64], v: &mut [f64], k: usize, (p, q): (usize, usize)) {
    let off = a[p * k + q];
    if off == 0.0 {
        return;
    }
    let theta = (a[q * k + q] - a[p * k + p]) / (2.0 * off);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    let turn = |matrix: &mut [f64], one: usize, other: usize| {
        let (x, y) = (matrix[one], matrix[other]);
        (matrix[one], matrix[other]) = (c * x - s * y, s * x + c * y);
    };
    (0..k).for_each(|index| turn(a, index * k + p, index * k + q));
    (0..k).for_each(|index| turn(a, p * k + index, q * k + index));
    (0..k).for_each(|index| turn(v, index * k + p, index * k + q));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(m: usize, n: usize) -> Tensor {
        Tensor::from_vec(Rng::new(2).stream("w", "").normal(0.0, 1.0, m * n), (m, n), &Device::Cpu)
            .expect("a matrix")
    }

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64);
        wide(a)
            .and_then(|a| (a - wide(b)?)?.abs()?.flatten_all()?.max(0)?.to_scalar())
            .expect("a number")
    }

    fn product(u: &Tensor, sigma: &[f64], vt: &Tensor) -> Tensor {
        let sigma = Tensor::from_slice(sigma, sigma.len(), &Device::Cpu).expect("values");
        u.broadcast_mul(&sigma).and_then(|u| u.matmul(vt)).expect("a product")
    }

    #[test]
    fn all_singular_values_together_give_the_matrix_back_whichever_side_is_longer() {
        for (m, n) in [(7, 5), (5, 7), (6, 6)] {
            let w = random(m, n);
            let (u, sigma, vt) = singular(&w, m.min(n)).expect("works");
            assert!(distance(&product(&u, &sigma, &vt), &w) < 1e-10);
            assert!(sigma.windows(2).all(|pair| pair[0] >= pair[1]));
            let square = u.t().and_then(|t| t.contiguous()?.matmul(&u)).expect("works");
            assert!(
                distance(&square, &Tensor::eye(m.min(n), DType::F64, &Device::Cpu).expect("eye"))
                    < 1e-10
            );
        }
    }

    #[test]
    fn the_remainder_of_a_large_matrix_is_orthogonal_to_its_leading_part() {
        let w = random(120, 90);
        let (u, sigma, vt) = singular(&w, 4).expect("works");
        let wide = w.to_dtype(DType::F64).expect("wide");
        let rest = (&wide - product(&u, &sigma, &vt)).expect("works");
        assert!(
            distance(
                &u.t().and_then(|t| t.contiguous()?.matmul(&rest)).expect("works"),
                &Tensor::zeros((4, 90), DType::F64, &Device::Cpu).expect("0")
            ) < 1e-4
        );
        let (_, left, _) = singular(&rest, 1).expect("works");
        assert!(left[0] <= sigma[3] * 1.001, "{left:?} {sigma:?}");
    }

    #[test]
    fn leading_columns_multiply_to_the_columns_they_come_from() {
        let w = random(6, 9);
        let (q, r) = leading_columns(&w, 3).expect("works");
        let product = q.matmul(&r).and_then(|p| p.narrow(1, 0, 3)).expect("works");
        assert!(distance(&product, &w.narrow(1, 0, 3).expect("columns")) < 1e-10);
    }
}
