//! Means, confidence intervals and significance.

/// Two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

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
    // Beyond ten degrees of freedom this is at most 2 % too wide.
    let t = STUDENT.get(count - 2).copied().unwrap_or(2.201);
    Some(t * (variance / count as f64).sqrt())
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
        assert!((half - 4.303 / 3f64.sqrt()).abs() < 1e-9, "{half}");
    }

    #[test]
    fn paired_seeds_show_a_difference_that_their_spread_hides() {
        let (one, other) = ([0.1, 0.5, 0.9], [0.2, 0.61, 1.0]);
        assert!(differ(&one, &other));
        assert!(!differ(&one, &[0.0, 0.61, 0.9]));
        assert!(!differ(&one[..1], &other[..1]), "one seed shows nothing");
    }
}
