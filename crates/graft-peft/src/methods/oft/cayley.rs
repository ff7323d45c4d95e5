//! Orthogonal matrices from skew-symmetric ones.

use graft_nn::{Result, Tensor};

/// The computation of a rotation.
#[derive(Clone, Debug)]
pub(super) struct Cayley {
    /// Number of terms of the series; `None` computes the inverse.
    terms: Option<usize>,
    transposed: bool,
}

impl Cayley {
    /// A rotation from the first `terms` of the series, or exact.
    pub(super) fn new(terms: Option<usize>) -> Self {
        Self { terms, transposed: false }
    }

    /// The inverse rotation.
    pub(super) fn transposed(&self) -> Self {
        Self { transposed: !self.transposed, ..self.clone() }
    }

    /// The rotations for the elements above the diagonals.
    ///
    /// # Shapes
    /// `upper: (n, b (b - 1) / 2)`; returns `(n, b, b)`
    /// # Errors
    /// Returns an error if a candle operation fails.
    pub(super) fn rotations(&self, upper: &Tensor, side: usize) -> Result<Tensor> {
        let q = skew(upper, side)?; // (n, b, b)
        let identity =
            Tensor::eye(side, q.dtype(), q.device())?.broadcast_as(q.shape())?.contiguous()?; // (n, b, b)
        let rotation = match self.terms {
            Some(terms) => series(&q, &identity, terms)?,
            // (I - Q)(I + Q)⁻¹ = 2 (I + Q)⁻¹ - I
            None => ((inverse(&(&identity + &q)?, &identity)? * 2.0)? - &identity)?,
        };
        Ok(if self.transposed { rotation.transpose(1, 2)?.contiguous()? } else { rotation }) // (n, b, b)
    }
}

/// The matrix Q with `upper` above its diagonal and `Qᵀ = -Q`.
fn skew(upper: &Tensor, side: usize) -> Result<Tensor> {
    let (count, numbers) = upper.dims2()?;
    // Column 0 is the zero of the diagonal; the elements below it are those above it, negated.
    let (mut places, mut signs) = (vec![0u32; side * side], vec![0f32; side * side]);
    let pairs = (0..side).flat_map(|row| (row + 1..side).map(move |column| (row, column)));
    for (number, (row, column)) in pairs.enumerate() {
        for (place, sign) in [(row * side + column, 1.0), (column * side + row, -1.0)] {
            (places[place], signs[place]) = (number as u32, sign);
        }
    }
    debug_assert_eq!(numbers, side * (side - 1) / 2);
    let places = Tensor::from_vec(places, side * side, upper.device())?;
    let signs = Tensor::from_vec(signs, side * side, upper.device())?.to_dtype(upper.dtype())?; // (b*b)
    Ok(upper.index_select(&places, 1)?.broadcast_mul(&signs)?.reshape((count, side, side))?) // (n, b, b)
}

/// `I + 2 Q + 2 Q² + .. + Q^p`, where the last power has the factor 1, as in HF PEFT.
fn series(q: &Tensor, identity: &Tensor, terms: usize) -> Result<Tensor> {
    let mut sum = identity.clone();
    if terms > 1 {
        sum = (sum + (q * 2.0)?)?;
    }
    if terms > 2 {
        let last = (terms - 1).max(3);
        let mut power = q.clone();
        for exponent in 2..=last {
            power = power.matmul(q)?; // (n, b, b)
            sum = (sum + (&power * if exponent == last { 1.0 } else { 2.0 })?)?;
        }
    }
    Ok(sum)
}

/// Inverses of matrices (n, b, b) whose symmetric part is the identity, so no pivot is below 1.
///
/// The inverse itself is computed outside of the graph. One step of Newton's iteration,
/// `X (2 I - M X)`, then gives the same value and, since it is stationary in X, the derivative
/// `-M⁻¹ dM M⁻¹`.
fn inverse(matrix: &Tensor, identity: &Tensor) -> Result<Tensor> {
    let (count, side, _) = matrix.dims3()?;
    let mut values: Vec<f64> =
        matrix.detach().to_dtype(graft_nn::DType::F64)?.flatten_all()?.to_vec1()?;
    values.chunks_mut(side * side).for_each(|block| invert(block, side));
    let x =
        Tensor::from_vec(values, (count, side, side), matrix.device())?.to_dtype(matrix.dtype())?; // (n, b, b)
    Ok(x.matmul(&((identity * 2.0)? - matrix.matmul(&x)?)?)?) // (n, b, b)
}

/// Gauss-Jordan elimination in place, without pivoting.
fn invert(matrix: &mut [f64], side: usize) {
    for pivot in 0..side {
        let factor = 1.0 / matrix[pivot * side + pivot];
        matrix[pivot * side + pivot] = 1.0;
        matrix[pivot * side..(pivot + 1) * side].iter_mut().for_each(|value| *value *= factor);
        for row in (0..side).filter(|row| *row != pivot) {
            let factor = std::mem::take(&mut matrix[row * side + pivot]);
            for column in 0..side {
                matrix[row * side + column] -= factor * matrix[pivot * side + column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use graft_nn::{Device, Rng, Var};

    use super::*;

    fn upper(count: usize, side: usize, deviation: f32) -> Tensor {
        let numbers = side * (side - 1) / 2;
        Tensor::from_vec(
            Rng::new(5).stream("test", "upper").normal(0.0, deviation, count * numbers),
            (count, numbers),
            &Device::Cpu,
        )
        .expect("a tensor")
    }

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).and_then(|d| d.abs()?.flatten_all()?.max(0)?.to_scalar()).expect("a number")
    }

    #[test]
    fn a_rotation_is_orthogonal_and_the_series_approximates_its_transpose() {
        let rotation = Cayley::new(None).rotations(&upper(3, 6, 2.0), 6).expect("works");
        let square = rotation
            .matmul(&rotation.transpose(1, 2).expect("t").contiguous().expect("c"))
            .expect("works");
        assert!(
            distance(
                &square,
                &Tensor::eye(6, square.dtype(), &Device::Cpu)
                    .and_then(|i| i.broadcast_as(square.shape()))
                    .expect("i")
            ) < 1e-5
        );
        let small = upper(3, 6, 0.02);
        let exact = Cayley::new(None).transposed().rotations(&small, 6).expect("works");
        assert!(
            distance(&exact, &Cayley::new(Some(8)).rotations(&small, 6).expect("works")) < 1e-6
        );
        assert!(distance(&exact, &Cayley::new(None).rotations(&small, 6).expect("works")) > 1e-2);
    }

    #[test]
    fn the_gradient_through_the_inverse_is_that_of_finite_differences() {
        let (start, side) = (upper(2, 4, 0.7).to_dtype(graft_nn::DType::F64).expect("wide"), 4);
        let weights = Tensor::from_vec(
            (0..32).map(|place| f64::from(place) * 0.1 - 1.0).collect(),
            (2, 4, 4),
            &Device::Cpu,
        )
        .expect("weights");
        let loss = |upper: &Tensor| {
            (Cayley::new(None).rotations(upper, side).expect("works") * &weights)
                .and_then(|p| p.sum_all())
                .expect("a sum")
        };
        let var = Var::from_tensor(&start).expect("a variable");
        let gradient = loss(var.as_tensor())
            .backward()
            .expect("works")
            .remove(var.as_tensor())
            .expect("a gradient")
            .to_vec2::<f64>()
            .expect("values");
        for (place, expected) in [(0, gradient[0][0]), (3, gradient[0][3]), (8, gradient[1][2])] {
            let moved = |by: f64| {
                let mut values: Vec<f64> =
                    start.flatten_all().and_then(|t| t.to_vec1()).expect("values");
                values[place] += by;
                loss(&Tensor::from_vec(values, start.dims(), &Device::Cpu).expect("a tensor"))
                    .to_scalar::<f64>()
                    .expect("a number")
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - expected).abs() < 1e-5, "{place}: {slope} {expected}");
        }
    }
}
