//! Bootstrap intervals.

use graft_random::Rng;

/// Number of resamples, unless the examples are very many.
pub const RESAMPLES: usize = 1000;
/// Fewest resamples.
const FEWEST: usize = 100;
/// Examples that all resamples together draw at most, unless that would be less than [`FEWEST`]
/// resamples.
const DRAWS: usize = 20_000_000;
/// Share of the resamples outside the interval.
const OUTSIDE: f64 = 0.05;

/// The interval in which a score lies in 95 % of the resamples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// Computes the percentile interval of a score of `examples` examples. `score` receives the indices
/// of a resample, drawn with replacement. `None` for fewer than two examples.
///
/// # Source
/// Efron 1979, doi:10.1214/aos/1176344552; the percentiles are interpolated as in NumPy
pub(crate) fn interval(
    examples: usize,
    seed: u64,
    score: &mut dyn FnMut(&[usize]) -> f64,
) -> Option<Interval> {
    if examples < 2 {
        return None;
    }
    let mut stream = Rng::new(seed).stream("bootstrap", "");
    let mut indices = vec![0; examples];
    let mut scores: Vec<f64> = (0..(DRAWS / examples).clamp(FEWEST, RESAMPLES))
        .map(|_| {
            indices.iter_mut().for_each(|index| {
                *index = ((stream.unit() * examples as f64) as usize).min(examples - 1);
            });
            score(&indices)
        })
        .collect();
    scores.sort_by(f64::total_cmp);
    Some(Interval {
        low: percentile(&scores, OUTSIDE / 2.0),
        high: percentile(&scores, 1.0 - OUTSIDE / 2.0),
    })
}

/// A percentile of sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval of the share of `right` among `examples`.
    fn of_share(right: usize, examples: usize, seed: u64) -> Interval {
        let mut share = |indices: &[usize]| {
            indices.iter().filter(|index| **index < right).count() as f64 / indices.len() as f64
        };
        interval(examples, seed, &mut share).unwrap()
    }

    #[test]
    fn the_interval_of_a_share_is_about_that_of_the_normal_approximation() {
        let Interval { low, high } = of_share(120, 400, 3);
        let half = 1.96 * (0.3f64 * 0.7 / 400.0).sqrt();
        assert!((low - (0.3 - half)).abs() < 0.008, "{low}");
        assert!((high - (0.3 + half)).abs() < 0.008, "{high}");
    }

    #[test]
    fn the_seed_decides_the_interval_and_one_example_has_none() {
        assert_eq!(of_share(3, 10, 1), of_share(3, 10, 1));
        let mut mean = |indices: &[usize]| {
            indices.iter().map(|index| (*index as f64).sqrt()).sum::<f64>() / indices.len() as f64
        };
        assert_ne!(interval(50, 1, &mut mean), interval(50, 2, &mut mean));
        assert_eq!(interval(1, 0, &mut |_| 1.0), None);
        assert_eq!(of_share(5, 5, 0), Interval { low: 1.0, high: 1.0 });
    }

    #[test]
    fn percentiles_are_interpolated() {
        // numpy.percentile([1, 2, 4, 8], [25, 97.5])
        assert_eq!(percentile(&[1.0, 2.0, 4.0, 8.0], 0.25), 1.75);
        assert!((percentile(&[1.0, 2.0, 4.0, 8.0], 0.975) - 7.7).abs() < 1e-12);
    }
}
