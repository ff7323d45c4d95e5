//! `%check`: measures the session and reports whether conditions hold.
//!
//! Every value is measured when the check runs: losses and accuracies by an evaluation, parameters
//! by counting, keys from the attached adapter. Nothing is read from an output or from a file.

mod measure;
mod next_step;
mod verdict;

use graft_protocol::{Block, CheckResult, Event, Points, Reply};
use graft_spec::{Failure, check::Check};

use crate::CommandContext;
use measure::Meter;

/// The results of one or more checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    results: Vec<CheckResult>,
    /// For each result, whether the check leaves the cell without an error if it fails.
    soft: Vec<bool>,
}

/// Checks every condition, also after one has failed. A condition that cannot be measured, for
/// example without a model, fails with the reason.
///
/// # Errors
/// Those of [`Check::parse`], before anything is measured; [`crate::SessionError::Interrupted`].
pub fn check(cx: &CommandContext, checks: &[String]) -> Result<Report, Failure> {
    let parsed = checks.iter().map(|text| Check::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let mut meter = Meter::new(cx);
    let mut report = Report { results: Vec::new(), soft: Vec::new() };
    for check in &parsed {
        let judged = meter.measure(check).and_then(|found| meter.judge(check, &found));
        cx.check_interrupted("stopped while checking")?;
        let (passed, reason, next) = match judged {
            Ok((true, reason)) => (true, reason, None),
            Ok((false, reason)) => (false, reason, next_step::of(&cx.state(), check)),
            Err(failure) => (false, format!("not measured: {}", failure.message), failure.hint),
        };
        let points = check
            .points()
            .map(|possible| Points { earned: if passed { possible } else { 0.0 }, possible });
        let condition = check.condition();
        report.results.push(CheckResult { condition, passed, reason, next, points });
        report.soft.push(check.is_soft());
    }
    Ok(report)
}

/// The reply to `%check`, or its failure.
///
/// # Errors
/// `check::failed` if a check failed that is not soft, and those of [`check`].
pub fn reply(cx: &CommandContext, checks: &[String]) -> Result<Reply, Failure> {
    let report = check(cx, checks)?;
    match report.failure() {
        None => Ok(Reply::one(report.block())),
        Some(failure) => {
            if report.results.len() > 1 {
                cx.emit(Event::Block(report.block()));
            }
            Err(failure)
        }
    }
}

impl Report {
    /// The results, in order.
    pub fn results(&self) -> &[CheckResult] {
        &self.results
    }

    /// The sum of the points; `None` if no check has any.
    pub fn points(&self) -> Option<Points> {
        Points::sum(&self.results)
    }

    /// The results as a block.
    pub fn block(&self) -> Block {
        Block::Checks(self.results.clone())
    }

    /// The failure of the checks that failed and are neither soft nor worth points.
    pub fn failure(&self) -> Option<Failure> {
        let failed: Vec<&CheckResult> = self
            .results
            .iter()
            .zip(&self.soft)
            .filter(|(result, soft)| !result.passed && !**soft)
            .map(|(result, _)| result)
            .collect();
        let first = failed.first()?;
        let failure = match self.results.len() {
            1 => {
                let message = format!("`{}` failed: {}", first.condition, first.reason);
                Failure::new("check::failed", message)
            }
            all => {
                let names: Vec<_> =
                    failed.iter().map(|result| format!("`{}`", result.condition)).collect();
                let (count, names) = (failed.len(), names.join(", "));
                Failure::new("check::failed", format!("{count} of {all} checks failed: {names}"))
            }
        };
        Some(match &first.next {
            Some(next) => failure.hint(next.clone()),
            None => failure,
        })
    }
}
