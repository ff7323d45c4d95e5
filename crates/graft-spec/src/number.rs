//! Floats as text. JSON has no words for NaN and infinity: they travel as the strings `NaN`, `inf`, `-inf`, and a NaN loss arrives at the host. People get
//! numbers of a bounded length, whatever a diverged run has made of them.
//!
//! Use with `#[serde(with = "crate::number")]` on an `f64`.

use serde::{Deserialize, Deserializer, Serializer};

/// From here on a number is written with an exponent.
const LARGE: f64 = 1e9;
/// The same for percent, which ten thousand times the whole makes large already.
const LARGE_PERCENT: f64 = 1e6;

/// A number with that many decimals: `0.123`, from 1e9 on `1.54e300`; `NaN`, `inf` and `-inf` as words, and no `-0.00`.
pub fn decimals(value: f64, digits: usize) -> String {
    written(value, digits, LARGE)
}

/// A share as a number of percent without the sign: 0.1234 is `12.3`, from ten thousand times the whole on `1.54e300`.
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

/// Writes a finite number as a JSON number and any other as a word.
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

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// When the value is neither a number nor one of the three words.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Wire::deserialize(deserializer)? {
        Wire::Number(value) => Ok(value),
        Wire::Word(word) => word.parse().map_err(serde::de::Error::custom),
    }
}

/// The same for `Option<f64>`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Some64(#[serde(with = "super")] f64);

    /// Writes `None` as null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Some64).serialize(serializer)
    }

    /// Reads what [`serialize`] wrote.
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
    fn a_number_is_short_however_large_it_is() {
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
