//! Floats that may be NaN or infinite, which JSON has no words for: they travel as the strings `NaN`, `inf`, `-inf`.
//!
//! Use with `#[serde(with = "crate::number")]` on an `f64`; a NaN loss must arrive at the host.

use serde::{Deserialize, Deserializer, Serializer};

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
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_str(&value.to_string()) }
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
    /// When the value is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Some64>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}
