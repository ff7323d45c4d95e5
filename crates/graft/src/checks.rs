//! The results of `lab().check(..)`.

use std::fmt;

use graft_session::verbs::check::Report;

use crate::{Error, Result, Show, Shown, lab, plain};

/// The results of one or more checks, in the order of their lines.
#[derive(Clone, PartialEq)]
pub struct Checks {
    report: Report,
}

impl Checks {
    pub(crate) fn new(report: Report) -> Self {
        Self { report }
    }

    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.report.results().iter().all(|result| result.passed)
    }

    /// Number of checks that failed.
    pub fn failures(&self) -> usize {
        self.report.results().iter().filter(|result| !result.passed).count()
    }

    /// For each check, its condition and what was measured.
    pub fn reasons(&self) -> Vec<(String, String)> {
        let results = self.report.results().iter();
        results.map(|result| (result.condition.clone(), result.reason.clone())).collect()
    }

    /// The points earned by the checks with `points=N`; `None` if none has any.
    pub fn points(&self) -> Option<f64> {
        self.report.points().map(|points| points.earned)
    }

    /// Returns the results, or an error if a check failed that has neither `points` nor
    /// `soft=true`: what `%check` does.
    ///
    /// # Errors
    /// `check::failed`, with the measured value and the next step.
    pub fn require(self) -> Result<Self> {
        match self.report.failure() {
            None => Ok(self),
            Some(failure) => Err(Error::from(failure)),
        }
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl Show for Checks {
    fn shown(&self) -> Shown {
        Shown::Block(self.report.block())
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain::checks(self.report.results()))
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
