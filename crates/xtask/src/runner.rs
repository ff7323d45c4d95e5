//! Runs a test runner, passes its output on, and adds up what it says it did.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::problem::{Problem, Result};
use crate::shell;

/// What test runners reported, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were not run.
    pub(crate) skipped: u64,
}

impl Tally {
    /// Adds another runner's figures.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs the runner, echoing each line as it comes; a failing test is counted, anything else that goes wrong is a problem.
pub(crate) fn run(command: &mut Command) -> Result<Tally> {
    println!("  $ {}", shell::shown(command));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| shell::cannot_start(command, &error))?;
    let (send, lines) = mpsc::channel();
    for stream in [child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>), child.stderr.take().map(|it| Box::new(it) as _)].into_iter().flatten() {
        let send = send.clone();
        std::thread::spawn(move || BufReader::new(stream).lines().map_while(std::result::Result::ok).try_for_each(|line| send.send(line)));
    }
    drop(send);
    let mut tally = Tally::default();
    for line in lines {
        println!("{line}");
        tally.add(counts(&line));
    }
    let status = child.wait().map_err(|error| shell::cannot_start(command, &error))?;
    if !status.success() && tally.failed == 0 {
        return Err(Problem::new(format!("`{}` ended with {status} before it had counted its tests", shell::shown(command))));
    }
    Ok(tally)
}

/// The figures of a summary line of nextest or of libtest; nothing for any other line.
fn counts(line: &str) -> Tally {
    let is_summary = line.trim_start().starts_with("Summary [") && line.contains(" run: ");
    // Indented, it is what nextest tells of a failed test's own output, and the test is in nextest's summary already.
    let Some(rest) = line.strip_prefix("test result: ").or_else(|| is_summary.then(|| line.split_once(" run: ").map_or("", |(_, rest)| rest))) else {
        return Tally::default();
    };
    let mut tally = Tally::default();
    for part in rest.split([';', ',', '.']) {
        let mut words = part.split_whitespace();
        let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
        match what {
            "passed" => tally.passed += count,
            "failed" | "timed" | "exec" => tally.failed += count,
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
    fn summary_lines_of_both_runners_are_understood() {
        let nextest = "     Summary [   3.501s] 120 tests run: 117 passed (2 slow), 2 failed, 1 timed out, 4 skipped";
        assert_eq!(counts(nextest), Tally { passed: 117, failed: 3, skipped: 4 });
        let libtest = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.30s";
        assert_eq!(counts(libtest), Tally { passed: 12, failed: 1, skipped: 2 });
        assert_eq!(counts(&format!("    {libtest}")), Tally::default());
        assert_eq!(counts("     Summary of 3 passed things"), Tally::default());
        assert_eq!(counts("12 passed"), Tally::default());
    }

    #[test]
    fn a_runner_that_dies_before_counting_is_a_problem() {
        assert!(run(&mut shell::command("sh", &["-c", "exit 3"])).is_err());
        let counted = run(&mut shell::command("sh", &["-c", "echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored'; exit 101"])).unwrap();
        assert_eq!(counted, Tally { passed: 1, failed: 1, skipped: 0 });
    }
}
