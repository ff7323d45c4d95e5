//! Which of two validations is better, and early stopping.

use serde::{Deserialize, Serialize};

/// Whether lower or higher values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Lower values are better, as for the loss.
    Lower,
    /// Higher values are better, as for the accuracy.
    Higher,
}

/// A number that a checkpoint keeps bit for bit: its bits in hexadecimal digits. A JSON number may
/// differ in its last bit after it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExactFloat(u64);

/// The progress of early stopping, which checkpoints contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoppingState {
    /// The best value so far.
    pub best: Option<ExactFloat>,
    /// Validations since then.
    pub without_improvement: u64,
}

impl Direction {
    /// Whether `value` is better than `other`. NaN is not better than anything.
    pub fn is_better(self, value: f64, other: f64) -> bool {
        match self {
            Self::Lower => value < other,
            Self::Higher => value > other,
        }
    }
}

impl ExactFloat {
    /// The number.
    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for ExactFloat {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl From<ExactFloat> for String {
    fn from(value: ExactFloat) -> Self {
        format!("{:016x}", value.0)
    }
}

impl TryFrom<String> for ExactFloat {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

impl StoppingState {
    /// Takes the value of a validation into account.
    ///
    /// # Source
    /// `EarlyStoppingCallback` of transformers with threshold 0
    pub fn after_validation(&mut self, value: f64, direction: Direction) {
        if self.best.is_none_or(|best| direction.is_better(value, best.value())) {
            *self = Self { best: Some(value.into()), without_improvement: 0 };
        } else {
            self.without_improvement += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_survives_json_bit_for_bit() {
        for value in [0.1 + 0.2, 1.0 / 3.0, f64::MAX, 5e-324, -0.0, f64::INFINITY] {
            let text = serde_json::to_string(&ExactFloat::from(value)).expect("JSON");
            let found: ExactFloat = serde_json::from_str(&text).expect("a number");
            assert_eq!(found.value().to_bits(), value.to_bits(), "{text}");
        }
        assert!(serde_json::from_str::<ExactFloat>("\"0.5\"").is_err());
    }

    #[test]
    fn only_a_better_value_resets_the_count() {
        let mut state = StoppingState::default();
        for (value, count) in [(2.0, 0), (1.0, 0), (1.0, 1), (1.5, 2), (0.9, 0), (f64::NAN, 1)] {
            state.after_validation(value, Direction::Lower);
            assert_eq!(state.without_improvement, count, "after {value}");
        }
        let mut state = StoppingState::default();
        for (value, count) in [(0.5, 0), (0.4, 1), (0.6, 0)] {
            state.after_validation(value, Direction::Higher);
            assert_eq!(state.without_improvement, count, "after {value}");
        }
    }
}
