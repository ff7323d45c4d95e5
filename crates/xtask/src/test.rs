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
    /// Also the tests that hold Graft's files to HF PEFT itself.
    peft: bool,
    /// Only tests whose name contains this; then nothing but the tests runs.
    only: Option<String>,
}

/// Prepares, checks, builds, installs, runs; whatever happens, the last line counts, and what broke counts as failed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut found = Found::default();
    if let Err(problem) = options(arguments).and_then(|options| everything(&options, &mut found)) {
        found.broken.push(problem);
    }
    conclude(&found)
}

/// What has been counted so far, and what could not be.
#[derive(Debug, Default)]
struct Found {
    tally: Tally,
    broken: Vec<Problem>,
}

impl Found {
    /// Notes a check: passed, or broken.
    fn check(&mut self, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.tally.passed += 1,
            Err(problem) => self.broken.push(problem),
        }
    }

    /// Notes what a test runner counted, or that it broke.
    fn tests(&mut self, outcome: Result<Tally>) {
        match outcome {
            Ok(tally) => self.tally.add(tally),
            Err(problem) => self.broken.push(problem),
        }
    }
}

/// Every phase in order; a phase without which the next ones make no sense ends it with its problem.
fn everything(options: &Options, found: &mut Found) -> Result<()> {
    let places = Places::here();
    let mut phases = Phases::new(if options.only.is_some() { 5 } else { 9 } + 2 * usize::from(options.peft));
    phases.run("what the machine needs", machine_needs)?;
    phases.run("a private Python environment", || Environment::ready(&places.test(), &places.requirements("test")).map(drop))?;
    if options.peft {
        phases.run("PyTorch and HF PEFT (gigabytes, the first time)", || Environment::ready(&places.peft(), &places.requirements("peft")).map(drop))?;
        phases.run("PyTorch and AdapterHub's library", || Environment::ready(&places.adapterhub(), &places.requirements("adapterhub")).map(drop))?;
    } else if options.only.is_none() {
        println!(
            "\nSKIPPED: adapters are not opened in HF PEFT and AdapterHub's library themselves, which need PyTorch; `cargo xtask test --peft` installs all three and does it."
        );
    }
    if options.only.is_none() {
        // What the compiler finds does not keep the tests from running: one call tells everything.
        found.check(phases.run("format", || check::format(&places)));
        found.check(phases.run("clippy", || check::clippy(&places)));
        found.check(phases.run("documentation", || check::documentation(&places)));
    }
    phases.run("build of everything, tests included", || build(&places))?;
    phases.run("the kernel and its prebuilt Rust library", || lab::install_for_tests(&places))?;
    found.tests(phases.run("tests", || tests(&places, options)));
    if options.only.is_none() {
        found.tests(phases.run("examples in the documentation", || examples(&places)));
    }
    phases.summary();
    Ok(())
}

/// Reads the arguments.
fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--long" => options.long = true,
            "--peft" => options.peft = true,
            "--only" => options.only = Some(words.next().ok_or_else(|| Problem::new("`--only` needs a part of a test's name"))?.clone()),
            other => return Err(Problem::new(format!("`test` does not take `{other}`")).hint("it takes: --long, --peft, --only PATTERN")),
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
    if options.peft {
        cargo.args(if nextest { ["--run-ignored", "all"] } else { ["--", "--include-ignored"] });
        cargo.env("GRAFT_PEFT_PYTHON", places.peft().join("bin/python")).env("GRAFT_ADAPTERHUB_PYTHON", places.adapterhub().join("bin/python"));
    }
    runner::run(&mut cargo)
}

/// The examples in doc comments, which nextest does not run.
fn examples(places: &Places) -> Result<Tally> {
    runner::run(shell::command("cargo", &["test", "--locked", "--workspace", "--doc", "--no-fail-fast"]).current_dir(&places.root))
}

/// Prints what broke and then the closing line, behind which nothing may come.
fn conclude(found: &Found) -> Result<()> {
    for problem in &found.broken {
        println!("\nxtask: {problem}");
    }
    let failed = found.tally.failed + found.broken.len() as u64;
    println!("\n{} passed, {failed} failed, {} skipped", found.tally.passed, found.tally.skipped);
    if failed == 0 { Ok(()) } else { Err(Problem::new(format!("{failed} failed")).told()) }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_broke_fails_the_whole_and_is_told_before_the_last_line() {
        let passed = Tally { passed: 3, failed: 0, skipped: 1 };
        assert!(conclude(&Found { tally: passed, broken: vec![] }).is_ok());
        assert!(conclude(&Found { tally: passed, broken: vec![Problem::new("clippy")] }).is_err_and(|problem| problem.is_told()));
        assert!(conclude(&Found { tally: Tally { failed: 1, ..passed }, broken: vec![] }).is_err_and(|problem| problem.is_told()));
    }

    #[test]
    fn a_wrong_word_ends_with_the_count_as_well() {
        assert!(run(&["--nonsense".to_owned()]).is_err_and(|problem| problem.is_told()));
    }
}
