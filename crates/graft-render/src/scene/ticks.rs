//! Round numbers along an axis.

/// Returns about `wanted` round values in `[low, high]`, and the step between them.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize, whole: bool) -> (Vec<f64>, f64) {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return (Vec::new(), 1.0);
    }
    let rough = span / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough * 0.999)
        .unwrap_or(10.0);
    let step = if whole { (factor * power).max(1.0).round() } else { factor * power };
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    ((first..=last.min(first + 50)).map(|index| index as f64 * step).collect(), step)
}

/// Returns round values for a logarithmic axis from `low` to `high`, both positive: powers of ten,
/// and multiples by 2 and 5 if there are few.
pub(crate) fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = (high / low).log10();
    let inside = |value: &f64| *value >= low * 0.999 && *value <= high * 1.001;
    if decades < 0.7 {
        return ticks(low, high, 5, false).0;
    }
    let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let stride = (decades / 7.0).ceil().max(1.0) as i32;
    let factors: &[f64] = if decades < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let values = exponents
        .filter(|exponent| exponent % stride == 0)
        .flat_map(|exponent| factors.iter().map(move |factor| factor * 10f64.powi(exponent)));
    values.filter(inside).collect()
}

/// Formats a tick with no more decimals than the step requires.
pub(crate) fn label(value: f64, step: f64) -> String {
    let largest = value.abs().max(step);
    if largest >= 1e7 || (largest < 1e-4 && largest > 0.0) {
        return if value == 0.0 {
            "0".to_owned()
        } else {
            format!("{value:.1e}").replace(".0e", "e")
        };
    }
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as u8;
    if decimals == 0 {
        crate::number::count(value.round() as i64)
    } else {
        crate::number::decimals(value, decimals)
    }
}

/// Formats a tick of a logarithmic axis. Numbers of parameters are written out: next to
/// `1,000,000`, the label `1e7` is hard to read.
pub(crate) fn log_label(value: f64) -> String {
    match value {
        1e7..1e9 => crate::number::count(value.round() as i64),
        _ => label(value, value.abs().min(1.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 200.0, 6, true).0, [0.0, 50.0, 100.0, 150.0, 200.0]);
        let (values, step) = ticks(1.83, 2.41, 5, false);
        assert_eq!(
            values.iter().map(|value| label(*value, step)).collect::<Vec<_>>(),
            ["2.0", "2.2", "2.4"]
        );
        assert_eq!(ticks(0.0, 3.0, 8, true).0, [0.0, 1.0, 2.0, 3.0]);
        assert!(ticks(1.0, 1.0, 5, false).0.is_empty());
    }

    #[test]
    fn logarithmic_ticks_thin_out_over_many_decades() {
        assert_eq!(log_ticks(0.1, 10.0), [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
        assert!(log_ticks(1e-9, 1e9).len() <= 8);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(
            [label(2.0, 0.5), label(10_000.0, 5000.0), label(2e7, 1e7), label(0.0, 1e-5)],
            ["2.0", "10,000", "2e7", "0"]
        );
    }

    #[test]
    fn numbers_of_parameters_are_written_out_on_a_logarithmic_axis() {
        assert_eq!(
            [1e-5, 100.0, 1e6, 1e7, 1e9].map(log_label),
            ["1e-5", "100", "1,000,000", "10,000,000", "1e9"]
        );
    }
}
