//! Results of `%check`.

use serde::{Deserialize, Serialize};

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check without its keys, such as `accuracy >= 0.4 on test`.
    pub condition: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was measured, or why it could not be measured.
    pub reason: String,
    /// What to do next, for a check that failed.
    pub next: Option<String>,
    /// The points, if the check has any.
    pub points: Option<Points>,
}

/// The points of a check.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Points {
    /// The points earned.
    pub earned: f64,
    /// The points of a passed check.
    pub possible: f64,
}

impl Points {
    /// The sum over the checks that have points; `None` if none has.
    pub fn sum<'a>(results: impl IntoIterator<Item = &'a CheckResult>) -> Option<Self> {
        results.into_iter().filter_map(|result| result.points).reduce(|one, other| Self {
            earned: one.earned + other.earned,
            possible: one.possible + other.possible,
        })
    }
}
