//! Runs a test runner, prints its output and adds up its counts.

use std::process::Command;

use crate::problem::{Problem, Result};
use crate::shell;
use crate::timings::{self, Timing};

/// The sum of the counts of several test runners.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were skipped.
    pub(crate) skipped: u64,
}

impl Tally {
    /// Adds the counts of another runner.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The report of one test runner.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// Its counts.
    pub(crate) tally: Tally,
    /// Durations of the tests, if the runner reports them.
    pub(crate) timings: Vec<Timing>,
}

/// Runs a test runner and prints each line as it arrives. Failing tests are counted; any other
/// failure is a problem.
pub(crate) fn run(command: &mut Command) -> Result<Report> {
    let mut report = Report::default();
    let status = shell::watch(command, |line| {
        report.tally.add(counts(line));
        report.timings.extend(timings::from_nextest(line));
    })?;
    if status.success() || report.tally.failed > 0 {
        Ok(report)
    } else {
        Err(Problem::new(format!(
            "`{}` exited with {status} before reporting its test counts",
            shell::shown(command)
        )))
    }
}

/// Returns the part of a summary line of nextest, libtest or pytest that contains the counts.
fn summary(line: &str) -> Option<&str> {
    // An indented line is output of a failed test that nextest prints again; nextest's own summary
    // includes the test.
    if let Some(libtest) = line.strip_prefix("test result: ") {
        return Some(libtest);
    }
    if line.trim_start().starts_with("Summary [") {
        return line.split_once(" run: ").map(|(_, rest)| rest);
    }
    // `===== 2 failed, 120 passed in 31.20s =====`
    let pytest = line.strip_prefix('=')?.trim_matches('=').trim();
    pytest.split_once(" in ").map(|(counts, _)| counts)
}

/// Parses the counts of a summary line; zero for any other line.
fn counts(line: &str) -> Tally {
    let Some(rest) = summary(line) else { return Tally::default() };
    let mut tally = Tally::default();
    for part in rest.split([';', ',', '.']) {
        let mut words = part.split_whitespace();
        let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next())
        else {
            continue;
        };
        match what {
            "passed" => tally.passed += count,
            "failed" | "timed" | "exec" | "error" | "errors" => tally.failed += count,
            "skipped" | "ignored" => tally.skipped += count,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_of_all_runners_are_parsed() {
        let nextest = "     Summary [   3.501s] 120 tests run: 117 passed (2 slow), 2 failed, 1 timed out, 4 skipped";
        assert_eq!(counts(nextest), Tally { passed: 117, failed: 3, skipped: 4 });
        let libtest = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.30s";
        assert_eq!(counts(libtest), Tally { passed: 12, failed: 1, skipped: 2 });
        assert_eq!(counts(&format!("    {libtest}")), Tally::default());
        assert_eq!(counts("     Summary of 3 passed things"), Tally::default());
        let pytest = "=========== 1 failed, 20 passed, 2 skipped, 1 error in 31.20s ===========";
        assert_eq!(counts(pytest), Tally { passed: 20, failed: 2, skipped: 2 });
        assert_eq!(
            counts(
                "=========================== short test summary info ============================"
            ),
            Tally::default()
        );
        assert_eq!(counts("12 passed"), Tally::default());
    }

    #[test]
    fn a_runner_that_exits_without_counts_is_a_problem() {
        assert!(run(&mut shell::command("sh", &["-c", "exit 3"])).is_err());
        let counted = run(&mut shell::command(
            "sh",
            &["-c", "echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored'; exit 101"],
        ))
        .unwrap();
        assert_eq!(counted.tally, Tally { passed: 1, failed: 1, skipped: 0 });
    }
}
