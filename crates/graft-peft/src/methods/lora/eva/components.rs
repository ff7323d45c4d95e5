//! Incremental principal component analysis of a stream of vectors.

use graft_nn::{DType, Device, Tensor};

use crate::{PeftError, decomposition};

/// Number of iterations for each batch; earlier batches have found most of the directions.
const ROUNDS: usize = 3;

/// Principal components of centered vectors, computed without storing the vectors: they are the
/// components of `[Σ V; X - mean(X); shift of the mean]`, up to the components that were dropped.
///
/// # Shapes
/// vectors of a batch `X: (n, d)`, components `V: (k, d)` as rows of norm 1, the strongest first
/// # Source
/// Ross et al. 2008, Incremental Learning for Robust Visual Tracking, section 3.1; HF PEFT's
/// `IncrementalPCA`
pub(super) struct Components {
    k: usize,
    seen: usize,
    mean: Vec<f64>,
    /// Sum of the squared distances from the mean.
    spread: f64,
    sigma: Vec<f64>,
    vectors: Option<Tensor>,
    /// Cosine between each component and its value before the last batch.
    cosines: Vec<f64>,
}

impl Components {
    /// For `k` components.
    pub(super) fn new(k: usize) -> Self {
        Self {
            k,
            seen: 0,
            mean: Vec::new(),
            spread: 0.0,
            sigma: Vec::new(),
            vectors: None,
            cosines: Vec::new(),
        }
    }

    /// Adds a batch, (n, d). A batch with fewer vectors than components is skipped.
    ///
    /// # Errors
    /// Returns an error if a candle operation fails.
    pub(super) fn add(&mut self, batch: &Tensor) -> Result<(), PeftError> {
        let batch = batch.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let (n, _) = batch.dims2()?;
        if n < self.k {
            return Ok(());
        }
        let mean = batch.mean(0)?; // (d)
        let centered = batch.broadcast_sub(&mean)?; // (n, d)
        let mean: Vec<f64> = mean.to_vec1()?;
        let spread: f64 = centered.sqr()?.sum_all()?.to_scalar()?;
        let total = self.seen + n;
        let stacked = self.stack(centered, &mean)?;
        let (_, sigma, vectors) = decomposition::singular_within(&stacked, self.k, ROUNDS)?;
        let vectors = pointing_up(&vectors)?;
        self.cosines = match &self.vectors {
            Some(before) => (before * &vectors)?.sum(1)?.to_vec1()?,
            None => vec![0.0; self.k],
        };
        let moved = |(before, now): (&f64, &f64)| {
            (before * self.seen as f64 + now * n as f64) / total as f64
        };
        self.mean =
            if self.seen == 0 { mean } else { self.mean.iter().zip(&mean).map(moved).collect() };
        self.spread += spread;
        (self.seen, self.sigma, self.vectors) = (total, sigma, Some(vectors));
        Ok(())
    }

    /// Stacks the previous components, scaled by their strengths, the centered batch, (n, d), and
    /// the shift of the mean. Adds the shift to the spread.
    fn stack(&mut self, centered: Tensor, mean: &[f64]) -> Result<Tensor, PeftError> {
        let Some(before) = &self.vectors else {
            return Ok(centered);
        };
        let (n, d) = centered.dims2()?;
        let total = self.seen + n;
        let weight = self.seen as f64 * n as f64 / total as f64;
        let shift: Vec<f64> = self
            .mean
            .iter()
            .zip(mean)
            .map(|(before, now)| (before - now) * weight.sqrt())
            .collect();
        self.spread += shift.iter().map(|shift| shift * shift).sum::<f64>();
        let strengths = Tensor::from_slice(&self.sigma, (self.sigma.len(), 1), &Device::Cpu)?;
        let stacked = Tensor::cat(
            &[
                before.broadcast_mul(&strengths)?,
                centered,
                Tensor::from_vec(shift, (1, d), &Device::Cpu)?,
            ],
            0,
        )?; // (k + n + 1, d)
        Ok(stacked)
    }

    /// Whether the first `count` components have converged: the cosine with their value before the
    /// last batch is at least `tau`.
    pub(super) fn have_converged(&self, count: usize, tau: f64) -> bool {
        self.vectors.is_some() && self.cosines.iter().take(count).all(|cosine| *cosine >= tau)
    }

    /// The fraction of the variance along each component; empty before the first batch.
    pub(super) fn variance_fractions(&self) -> impl Iterator<Item = f64> {
        let spread = self.spread.max(f64::MIN_POSITIVE);
        self.sigma.iter().map(move |sigma| sigma * sigma / spread)
    }

    /// The first `count` components, (count, d).
    ///
    /// # Errors
    /// Returns an error if a candle operation fails.
    pub(super) fn first(&self, count: usize) -> Result<Option<Tensor>, PeftError> {
        self.vectors
            .as_ref()
            .map(|vectors| Ok(vectors.narrow(0, 0, count)?.to_dtype(DType::F32)?))
            .transpose()
    }
}

/// Flips rows so that their element of largest magnitude is positive: the sign of a component is
/// arbitrary.
fn pointing_up(rows: &Tensor) -> Result<Tensor, PeftError> {
    let sign = |row: &Vec<f64>| {
        row.iter()
            .copied()
            .fold(
                0.0,
                |largest: f64, value| if value.abs() > largest.abs() { value } else { largest },
            )
            .signum()
    };
    let signs: Vec<f64> = rows.to_vec2()?.iter().map(sign).collect();
    Ok(rows.broadcast_mul(&Tensor::from_slice(&signs, (signs.len(), 1), &Device::Cpu)?)?)
}

#[cfg(test)]
mod tests {
    use graft_nn::Rng;

    use super::*;

    /// Vectors in 12 dimensions with standard deviations 12, 11, .., 1 along the axes, and a mean
    /// other than zero.
    fn vectors(n: usize) -> Tensor {
        let normal = Rng::new(5).stream("vectors", "").normal(0.0, 1.0, n * 12);
        let value = |(place, value): (usize, f32)| 3.0 + value * (12 - place % 12) as f32;
        Tensor::from_vec(
            normal.into_iter().enumerate().map(value).collect::<Vec<_>>(),
            (n, 12),
            &Device::Cpu,
        )
        .unwrap()
    }

    fn of(batches: &[Tensor]) -> Components {
        let mut components = Components::new(4);
        batches.iter().for_each(|batch| components.add(batch).unwrap());
        components
    }

    #[test]
    fn batches_give_the_same_components_as_all_vectors_at_once() {
        let all = vectors(600);
        let batches: Vec<Tensor> =
            (0..6).map(|index| all.narrow(0, 100 * index, 100).unwrap()).collect();
        let (whole, parts) = (of(&[all]), of(&batches));
        for (one, other) in whole.variance_fractions().zip(parts.variance_fractions()) {
            assert!((one - other).abs() < 0.03 * one, "{one} {other}");
        }
        let cosines: Vec<f32> = (whole.first(4).unwrap().unwrap()
            * parts.first(4).unwrap().unwrap())
        .unwrap()
        .sum(1)
        .unwrap()
        .to_vec1()
        .unwrap();
        assert!(cosines.iter().all(|cosine| *cosine > 0.99), "{cosines:?}");
        assert!(whole.variance_fractions().sum::<f64>() < 1.0);
    }

    #[test]
    fn the_mean_is_not_a_component() {
        // The variance is largest along the first axis; the mean is on the diagonal.
        let first: Vec<f32> = of(&[vectors(2000)])
            .first(1)
            .unwrap()
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert!(first[0] > 0.95, "{first:?}");
    }

    #[test]
    fn components_converge_on_repeated_batches() {
        let batch = vectors(300);
        assert!(!of(std::slice::from_ref(&batch)).have_converged(4, 0.99));
        assert!(of(&[batch.clone(), batch]).have_converged(4, 0.99));
    }

    #[test]
    fn a_batch_with_fewer_vectors_than_components_is_skipped() {
        let few = of(&[vectors(3)]);
        assert!(few.first(4).unwrap().is_none() && few.variance_fractions().count() == 0);
    }
}
