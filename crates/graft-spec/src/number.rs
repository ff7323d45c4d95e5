//! Floats as text.
//!
//! JSON cannot represent NaN and infinity, so they are serialized as the strings `NaN`, `inf` and
//! `-inf`. Formatted numbers have a bounded length, also for the losses of a run that has diverged.
//!
//! Use with `#[serde(with = "crate::number")]` on an `f64`.

use serde::{Deserialize, Deserializer, Serializer};

/// Numbers from this value on are formatted with an exponent.
const LARGE: f64 = 1e9;
/// Fractions from this value on are formatted with an exponent as percent.
const LARGE_PERCENT: f64 = 1e6;

/// Formats a number with `digits` decimals: `0.123`, from 1e9 on `1.54e300`, never `-0.00`.
/// Non-finite numbers are `NaN`, `inf` and `-inf`.
pub fn decimals(value: f64, digits: usize) -> String {
    written(value, digits, LARGE)
}

/// Formats a fraction as percent without the sign: 0.1234 as `12.3`; very large values with an
/// exponent.
pub fn percent(share: f64, digits: usize) -> String {
    written(100.0 * share, digits, LARGE_PERCENT)
}

fn written(value: f64, digits: usize, large: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value.abs() >= large {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.digits$}");
    if text.starts_with('-') && text.chars().all(|next| matches!(next, '-' | '0' | '.')) {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    Number(f64),
    Word(String),
}

/// Serializes a finite number as a JSON number, and others as strings.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else {
        serializer.serialize_str(&value.to_string())
    }
}

/// Deserializes the form that [`serialize`] writes.
///
/// # Errors
/// If the value is neither a number nor one of the three strings.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Wire::deserialize(deserializer)? {
        Wire::Number(value) => Ok(value),
        Wire::Word(word) => word.parse().map_err(serde::de::Error::custom),
    }
}

/// The same functions for `Option<f64>`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Some64(#[serde(with = "super")] f64);

    /// Serializes `None` as null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Some64).serialize(serializer)
    }

    /// Deserializes the form that [`serialize`] writes.
    ///
    /// # Errors
    /// If the value is not a number.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Some64>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_numbers_have_a_bounded_length() {
        let written =
            [0.1234, -0.0001, 999_999_999.0, 1.544e300, f64::MAX, f64::NAN, f64::NEG_INFINITY]
                .map(|value| decimals(value, 2));
        assert_eq!(
            written,
            ["0.12", "0.00", "999999999.00", "1.54e300", "1.80e308", "NaN", "-inf"]
        );
        assert_eq!(
            [percent(0.1234, 1), percent(2.0, 0), percent(1e4, 0), percent(f64::MAX, 0)],
            ["12.3", "200", "1.00e6", "inf"]
        );
    }
}
