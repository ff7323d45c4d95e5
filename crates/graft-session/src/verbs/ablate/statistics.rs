//! Means, confidence intervals and significance.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The probability below the upper end of a two-sided 95 % interval.
const UPPER: f64 = 0.975;

/// The mean; NaN without values.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Half of the 95 % confidence interval of the mean, `t s / √n`; `None` for fewer than two values.
pub(super) fn half_interval(values: &[f64]) -> Option<f64> {
    let (count, mean) = (values.len(), mean(values));
    if count < 2 {
        return None;
    }
    let variance =
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
    let student = StudentsT::new(0.0, 1.0, (count - 1) as f64).ok()?;
    Some(student.inverse_cdf(UPPER) * (variance / count as f64).sqrt())
}

/// Whether the values of two configurations, paired by seed, differ by more than their interval.
pub(super) fn differ(one: &[f64], other: &[f64]) -> bool {
    let differences: Vec<f64> = one.iter().zip(other).map(|(a, b)| a - b).collect();
    half_interval(&differences).is_some_and(|half| mean(&differences).abs() > half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_students_t() {
        assert_eq!(half_interval(&[1.0]), None);
        let half = half_interval(&[1.0, 2.0, 3.0]).expect("three values");
        assert!((half - 4.302_652_730 / 3f64.sqrt()).abs() < 1e-6, "{half}");
    }

    #[test]
    fn the_interval_of_many_values_is_not_wider_than_that_of_students_t() {
        // 31 values with a standard deviation of 1.
        let values: Vec<f64> = (0..31).map(|n| f64::from(n % 2) * 2.0 - 1.0).collect();
        let deviation = (30.967_741_935f64 / 30.0).sqrt();
        let half = half_interval(&values).expect("31 values");
        assert!((half * 31f64.sqrt() / deviation - 2.042_272_456).abs() < 1e-6, "{half}");
    }

    #[test]
    fn paired_seeds_show_a_difference_that_their_spread_hides() {
        let (one, other) = ([0.1, 0.5, 0.9], [0.2, 0.61, 1.0]);
        assert!(differ(&one, &other));
        assert!(!differ(&one, &[0.0, 0.61, 0.9]));
        assert!(!differ(&one[..1], &other[..1]), "one seed shows nothing");
    }
}
