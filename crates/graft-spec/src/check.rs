//! `%check`: parses a condition such as `accuracy >= 0.4 on test points=2`.
//!
//! ```text
//! METRIC [OPERATOR VALUE] [on SPLIT] [key=value ...]
//! ```
//!
//! The split and the keys may be anywhere in the line. A metric that is a fact, such as
//! `loss_fell`, has no operator. Every other name is a key of the attached method, such as `r` or
//! `lora_alpha`.

mod metrics;
mod parse;

use std::fmt;

use crate::training::DATA_NAME;
use crate::{KeyKind, KeySpec, Settings};

pub use metrics::{METRICS, MetricSpec, Quantity, Unit};

/// Keys of a check.
pub const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "points",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1e6 },
        default: "",
        help: "points for a passed check; a check with points never fails the cell, whose result is the sum of the points, as nbgrader expects for partial credit",
    },
    KeySpec {
        name: "soft",
        aliases: &[],
        kind: KeyKind::Bool,
        default: "false",
        help: "show the result only; a failed check does not fail the cell",
    },
    DATA_NAME,
    KeySpec {
        name: "examples",
        aliases: &["n"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "200",
        help: "maximum number of examples that a loss or accuracy is measured on, from the first one on",
    },
    KeySpec {
        name: "batch",
        aliases: &["batch_size"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "16",
        help: "examples per forward pass",
    },
];

/// The splits of a data set.
pub const SPLITS: [&str; 3] = ["train", "validation", "test"];

/// A parsed check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is measured.
    pub metric: Metric,
    /// The comparison; `None` for a fact.
    pub comparison: Option<Comparison>,
    /// The split to measure on; `None` for a metric that needs no data.
    pub split: Option<&'static str>,
    /// Keys of [`KEYS`].
    pub settings: Settings,
}

/// What a check measures.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// A metric of [`METRICS`].
    Named(&'static MetricSpec),
    /// A key of the attached method, by its canonical name.
    Key(String),
}

/// An operator and the value that it compares with.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The operator.
    pub operator: Operator,
    /// The value on its right.
    pub expected: Expected,
    /// The value as typed.
    pub typed: String,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// The value on the right of an operator.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A number. A percentage of a metric that is a fraction has been divided by 100.
    Number(f64),
    /// Text, for a name.
    Text(String),
    /// The same metric without adapters.
    Base,
    /// The accuracy of always guessing the most common label.
    Majority,
}

impl Check {
    /// The check without its keys, such as `accuracy >= 0.4 on test`.
    pub fn condition(&self) -> String {
        let mut text = self.metric.name().to_owned();
        if let Some(comparison) = &self.comparison {
            text.push_str(&format!(" {} {}", comparison.operator, comparison.typed));
        }
        if let Some(split) = self.split {
            text.push_str(&format!(" on {split}"));
        }
        text
    }

    /// The points for passing it.
    pub fn points(&self) -> Option<f64> {
        self.settings.float(KEYS, "points")
    }

    /// Whether a failed check leaves the cell without an error: with `soft=true`, or with points.
    pub fn is_soft(&self) -> bool {
        self.points().is_some() || self.settings.bool(KEYS, "soft")
    }
}

/// The check with its keys, as [`Check::parse`] reads it.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.condition())?;
        self.settings.values.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))
    }
}

impl Metric {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(spec) => spec.name,
            Self::Key(name) => name,
        }
    }
}

impl Operator {
    /// Whether the operator holds for two numbers. Numbers that differ by rounding are equal, and
    /// no operator holds for NaN.
    pub fn holds(self, measured: f64, expected: f64) -> bool {
        let is_equal = (measured - expected).abs() <= 1e-9 * expected.abs().max(1e-9);
        match self {
            Self::Less => measured < expected && !is_equal,
            Self::AtMost => measured < expected || is_equal,
            Self::Greater => measured > expected && !is_equal,
            Self::AtLeast => measured > expected || is_equal,
            Self::Equal => is_equal,
            Self::NotEqual => !is_equal && !measured.is_nan(),
        }
    }

    /// Whether it compares sizes, which text does not have.
    pub fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    /// The operator in words, such as `at least`; empty for `==`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Less => "below ",
            Self::AtMost => "at most ",
            Self::Greater => "above ",
            Self::AtLeast => "at least ",
            Self::Equal => "",
            Self::NotEqual => "other than ",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        })
    }
}

#[cfg(test)]
mod tests;
