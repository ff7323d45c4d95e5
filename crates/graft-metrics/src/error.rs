//! Errors of metrics.

use graft_spec::Hint;

use crate::Metric;

/// An error of naming or computing a metric.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// No metric has that name.
    #[error("unknown metric `{name}`")]
    Unknown {
        /// The name that the user typed.
        name: String,
        /// The closest known name.
        closest: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// An empty list of metrics.
    #[error("the list of metrics is empty")]
    None,
    /// The metric `regex` without an expression.
    #[error("the metric `regex` needs a regular expression that finds the answer")]
    NoPattern,
    /// An expression that cannot be compiled.
    #[error("`{pattern}` is not a valid regular expression: {problem}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A gold text without a number.
    #[error(
        "the metric `numeric` needs a number in every answer; that of example {example} has none: {gold:?}"
    )]
    NoNumber {
        /// Number of the example, from 1.
        example: usize,
        /// Its gold text, or the start of it.
        gold: String,
    },
    /// A metric of the user returned NaN or infinity.
    #[error("the metric `{name}` must return a finite number, got {value} for example {example}")]
    NotFinite {
        /// The metric.
        name: String,
        /// What it returned.
        value: f64,
        /// Number of the example, from 1.
        example: usize,
    },
}

impl Hint for MetricError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "metrics::unknown",
            Self::None => "metrics::none",
            Self::NoPattern | Self::Pattern { .. } => "metrics::pattern",
            Self::NoNumber { .. } => "metrics::no_number",
            Self::NotFinite { .. } => "metrics::not_finite",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { closest: Some(closest), .. } => format!("did you mean `{closest}`?"),
            Self::Unknown { known, .. } => format!("known metrics: {}", known.join(", ")),
            Self::None => "for example metric=rouge,exact_match".to_owned(),
            Self::NoPattern => {
                "for example metric=regex pattern=\"answer is (\\w+)\"; the first group is the \
                 answer"
                    .to_owned()
            }
            Self::Pattern { .. } => {
                "a backslash makes a special character an ordinary one: `\\(`".to_owned()
            }
            Self::NoNumber { .. } => format!(
                "use a metric of texts, such as metric={}, or data whose answers have numbers",
                Metric::ExactMatch.name()
            ),
            Self::NotFinite { .. } => "return 0.0 where the metric is not defined".to_owned(),
        })
    }
}
