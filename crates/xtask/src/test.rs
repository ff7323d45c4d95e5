//! `cargo xtask test`: installs what the tests need and runs every one of them.

use crate::check;
use crate::lab;
use crate::machine;
use crate::phases::Phases;
use crate::places::Places;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::runner::{self, Tally};
use crate::shell;

/// What was asked for.
#[derive(Debug, Default)]
struct Options {
    /// Also the tests that need a network or many minutes.
    long: bool,
    /// Only tests whose name contains this; then nothing but the tests runs.
    only: Option<String>,
}

/// Prepares, checks, builds, installs, runs; the last line counts the tests.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = options(arguments)?;
    let places = Places::here();
    let mut phases = Phases::new(if options.only.is_some() { 5 } else { 9 });
    phases.run("what the machine needs", machine_needs)?;
    phases.run("a private Python environment", || Environment::ready(&places.test(), &places.requirements("test")).map(drop))?;
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    if options.only.is_none() {
        // What the compiler finds does not keep the tests from running: one call tells everything.
        let outcomes = [
            phases.run("format", || check::format(&places)),
            phases.run("clippy", || check::clippy(&places)),
            phases.run("documentation", || check::documentation(&places)),
        ];
        tally.passed += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        broken.extend(outcomes.into_iter().filter_map(Result::err).map(|problem| problem.to_string()));
    }
    phases.run("build of everything, tests included", || build(&places))?;
    phases.run("the kernel and its prebuilt Rust library", || lab::install_for_tests(&places))?;
    tally.add(phases.run("tests", || tests(&places, &options))?);
    if options.only.is_none() {
        tally.add(phases.run("examples in the documentation", || examples(&places))?);
    }
    phases.summary();
    conclude(tally, &broken)
}

/// Reads the arguments.
fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--long" => options.long = true,
            "--only" => options.only = Some(words.next().ok_or_else(|| Problem::new("`--only` needs a part of a test's name"))?.clone()),
            other => return Err(Problem::new(format!("`test` does not take `{other}`")).hint("it takes: --long, --only PATTERN")),
        }
    }
    Ok(options)
}

/// Everything the machine must have for the tests.
fn machine_needs() -> Result<()> {
    machine::c_compiler()?;
    machine::python_with_venv()?;
    machine::rust_sources()?;
    machine::chromium()
}

/// One cargo call for every library, binary and test, so that features are unified once and nothing is built twice.
fn build(places: &Places) -> Result<()> {
    shell::run(shell::command("cargo", &["build", "--locked", "--workspace", "--all-targets"]).current_dir(&places.root))
}

/// Unit tests and end-to-end tests, through nextest where it is installed.
fn tests(places: &Places, options: &Options) -> Result<Tally> {
    let nextest = shell::which("cargo-nextest").is_some();
    let mut cargo = if nextest {
        shell::command("cargo", &["nextest", "run", "--locked", "--workspace", "--all-targets", "--no-fail-fast", "--no-tests", "pass"])
    } else {
        shell::command("cargo", &["test", "--locked", "--workspace", "--all-targets", "--no-fail-fast"])
    };
    cargo.args(&options.only).current_dir(&places.root).env("GRAFT_TEST_PREFIX", places.test());
    if options.long {
        cargo.env("GRAFT_TEST_LONG", "1");
    }
    runner::run(&mut cargo)
}

/// The examples in doc comments, which nextest does not run.
fn examples(places: &Places) -> Result<Tally> {
    runner::run(shell::command("cargo", &["test", "--locked", "--workspace", "--doc", "--no-fail-fast"]).current_dir(&places.root))
}

/// Prints the closing line; problems of the checks count as failures.
fn conclude(mut tally: Tally, broken: &[String]) -> Result<()> {
    tally.failed += broken.len() as u64;
    let problems = broken.iter().map(|problem| format!("\n  {problem}")).collect::<String>();
    println!("\n{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    if tally.failed == 0 { Ok(()) } else { Err(Problem::new(format!("{} failed{problems}", tally.failed))) }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_failed_check_fails_the_whole() {
        assert!(conclude(Tally { passed: 3, failed: 0, skipped: 1 }, &[]).is_ok());
        assert!(conclude(Tally { passed: 3, failed: 0, skipped: 0 }, &["clippy".to_owned()]).is_err());
        assert!(conclude(Tally { passed: 3, failed: 1, skipped: 0 }, &[]).is_err());
    }
}
