//! Sparsification of updates before they are added: the largest or randomly chosen elements are
//! kept, and optionally only those with the majority sign.

use graft_nn::{Device, Rng, Tensor};

use crate::PeftError;

/// How the majority sign of an element is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Majority {
    /// The sign of the sum.
    Total,
    /// The most frequent sign.
    Frequency,
}

/// How updates are sparsified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sparsify {
    /// All elements are kept.
    None,
    /// Keeps the fraction `density` of the elements with the largest magnitude. With `elect`,
    /// elements with the minority sign are removed and the rest is averaged.
    Largest { density: f64, elect: Option<Majority> },
    /// Keeps each element with probability `density` and divides it by `density`.
    Random { density: f64, elect: Option<Majority> },
}

impl Sparsify {
    /// The sum of the sparsified, weighted updates (d_out, d_in); `path` seeds the random choice.
    ///
    /// # Errors
    /// Returns an error if a candle operation fails.
    pub(super) fn combine(
        self,
        updates: &[(Tensor, f64)],
        rng: &Rng,
        path: &str,
    ) -> Result<Tensor, PeftError> {
        let Some((first, _)) = updates.first() else { return Err(super::nothing()) };
        let shape = first.dims2()?;
        let mut thinned = Vec::new();
        for (index, (update, weight)) in updates.iter().enumerate() {
            let mut values: Vec<f64> = update.flatten_all()?.to_vec1()?;
            match self {
                Self::None => {}
                Self::Largest { density, .. } => keep_largest(&mut values, density),
                Self::Random { density, .. } => {
                    keep_random(&mut values, density, rng.indexed("dare", path, index as u64))
                }
            }
            thinned.push((values, *weight));
        }
        let sum = match self {
            Self::None | Self::Largest { elect: None, .. } | Self::Random { elect: None, .. } => {
                plain_sum(&thinned)
            }
            Self::Largest { elect: Some(majority), .. }
            | Self::Random { elect: Some(majority), .. } => elected_mean(&thinned, majority),
        };
        Ok(Tensor::from_vec(sum, shape, &Device::Cpu)?)
    }
}

/// Sets all but the fraction `density` of largest magnitude to zero.
fn keep_largest(values: &mut [f64], density: f64) {
    let kept = (density * values.len() as f64) as usize;
    let mut order: Vec<usize> = (0..values.len()).collect();
    // A stable sort makes the result deterministic for equal magnitudes.
    order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
    order.into_iter().skip(kept).for_each(|index| values[index] = 0.0);
}

fn keep_random(values: &mut [f64], density: f64, mut stream: graft_nn::Stream) {
    values
        .iter_mut()
        .for_each(|value| *value = if stream.unit() < density { *value / density } else { 0.0 });
}

fn plain_sum(updates: &[(Vec<f64>, f64)]) -> Vec<f64> {
    let mut sum = vec![0.0; updates.first().map_or(0, |(values, _)| values.len())];
    for (values, weight) in updates {
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
    }
    sum
}

/// For each element, the mean of the weighted values that have the majority sign; zeros do not vote
/// and are not counted.
fn elected_mean(updates: &[(Vec<f64>, f64)], majority: Majority) -> Vec<f64> {
    let vote = |value: f64| match majority {
        Majority::Total => value,
        Majority::Frequency => sign(value),
    };
    let count = updates.first().map_or(0, |(values, _)| values.len());
    let mean = |place: usize| {
        let elected = sign(updates.iter().map(|(values, _)| vote(values[place])).sum());
        let of_sign = updates
            .iter()
            .filter(|(values, _)| sign(values[place]) == elected && values[place] != 0.0);
        let (sum, members) = of_sign.fold((0.0, 0usize), |(sum, members), (values, weight)| {
            (sum + weight * values[place], members + 1)
        });
        sum / members.max(1) as f64
    };
    (0..count).map(mean).collect()
}

fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(sparsify: Sparsify) -> Vec<f64> {
        let tensor = |values: [f64; 4]| Tensor::from_slice(&values, (2, 2), &Device::Cpu).unwrap();
        let updates = [(tensor([1.0, -4.0, 0.5, 2.0]), 1.0), (tensor([3.0, 1.0, -0.5, 0.0]), 2.0)];
        sparsify
            .combine(&updates, &Rng::new(1), "layer")
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    #[test]
    fn without_sparsification_the_result_is_the_weighted_sum() {
        assert_eq!(combined(Sparsify::None), [7.0, -2.0, -0.5, 2.0]);
    }

    #[test]
    fn the_largest_half_of_each_is_kept() {
        assert_eq!(
            combined(Sparsify::Largest { density: 0.5, elect: None }),
            [6.0, -2.0, 0.0, 2.0]
        );
    }

    #[test]
    fn ties_removes_the_minority_sign_and_averages_the_rest() {
        // Elements: both positive; -4 outweighs 1; opposite signs of equal weight; only one is not
        // zero.
        assert_eq!(
            combined(Sparsify::Largest { density: 1.0, elect: Some(Majority::Total) }),
            [3.5, -4.0, 0.0, 2.0]
        );
        assert_eq!(
            combined(Sparsify::Largest { density: 1.0, elect: Some(Majority::Frequency) })[1],
            0.0
        );
    }

    #[test]
    fn dare_keeps_the_expectation_and_is_the_same_for_the_same_seed() {
        let tensor = Tensor::ones((100, 100), graft_nn::DType::F64, &Device::Cpu).unwrap();
        let random = Sparsify::Random { density: 0.25, elect: None };
        let once = random.combine(&[(tensor.clone(), 1.0)], &Rng::new(3), "layer").unwrap();
        let again = random.combine(&[(tensor, 1.0)], &Rng::new(3), "layer").unwrap();
        let mean = once.mean_all().unwrap().to_scalar::<f64>().unwrap();
        assert!((mean - 1.0).abs() < 0.06, "{mean}");
        assert_eq!(
            (once - again).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap(),
            0.0
        );
    }
}
