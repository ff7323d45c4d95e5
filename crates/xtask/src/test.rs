//! `cargo xtask test`: installs what the tests need and runs all of them.

use crate::check;
use crate::groups::Group;
use crate::lab;
use crate::machine;
use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::reuse;
use crate::runner::{self, Report, Tally};
use crate::shell;
use crate::timings::{self, Timing};

/// The parsed arguments.
#[derive(Debug, Default, PartialEq)]
struct Options {
    /// Also run soak and fuzz tests, and tests that need a network.
    long: bool,
    /// Also run the tests that compare Graft's files with HF PEFT.
    peft: bool,
    /// Run only Rust and Python tests whose name contains this, without the checks.
    pattern: Option<String>,
}

/// Runs every phase. The last line always contains the counts, in which an aborted phase is a
/// failure.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut found = Found::default();
    if let Err(problem) = options(arguments).and_then(|options| everything(&options, &mut found)) {
        found.broken.push(problem);
    }
    conclude(&found)
}

/// The counts so far, and the phases that failed.
#[derive(Debug, Default)]
struct Found {
    tally: Tally,
    timings: Vec<Timing>,
    broken: Vec<Problem>,
}

impl Found {
    /// Records a check that returns whether its tool is installed: passed, skipped or broken.
    fn optional_check(&mut self, outcome: Result<bool>) {
        match outcome {
            Ok(true) => self.tally.passed += 1,
            Ok(false) => self.tally.skipped += 1,
            Err(problem) => self.broken.push(problem),
        }
    }

    /// Records the outcome of a check.
    fn check(&mut self, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.tally.passed += 1,
            Err(problem) => self.broken.push(problem),
        }
    }

    /// Records the report of a test runner, or its failure.
    fn tests(&mut self, outcome: Result<Report>) {
        match outcome {
            Ok(report) => {
                self.tally.add(report.tally);
                self.timings.extend(report.timings);
            }
            Err(problem) => self.broken.push(problem),
        }
    }
}

/// Runs the phases in order; stops at the failure of a phase that later ones depend on.
fn everything(options: &Options, found: &mut Found) -> Result<()> {
    let paths = Paths::here();
    let is_all = options.pattern.is_none();
    let mut phases = Phases::new(if is_all { 18 } else { 9 } + 2 * usize::from(options.peft));
    phases.run("system requirements", machine_needs)?;
    environments(&mut phases, &paths, options)?;
    if is_all {
        checks(&mut phases, &paths, found);
    }
    for group in Group::ALL {
        phases.run(&format!("build of {}, tests included", group.name()), || {
            shell::run(&mut group.cargo(&paths, &["build", "--all-targets"]))
        })?;
    }
    let compiled = phases.run("the kernel and its prebuilt Rust library", || install(&paths))?;
    if is_all {
        found.check(reuse::check(&compiled));
    }
    for group in Group::ALL {
        found.tests(phases.run(&format!("Rust tests of {}", group.name()), || {
            rust_tests(&paths, options, group)
        }));
    }
    if is_all {
        for group in Group::ALL {
            let name = format!("examples in the documentation of {}", group.name());
            found.tests(phases.run(&name, || examples(&paths, group)));
        }
    }
    found.tests(phases.run("end-to-end tests (pytest)", || end_to_end(&paths, options)));
    timings::print_slowest(&found.timings);
    phases.summary();
    Ok(())
}

/// Installs the Python environments of the tests.
fn environments(phases: &mut Phases, paths: &Paths, options: &Options) -> Result<()> {
    phases.run("a private Python environment", || {
        Environment::ready(&paths.test(), &paths.requirements("test")).map(drop)
    })?;
    // Its own environment, because nbgrader adds extensions to every JupyterLab next to it.
    phases.run("nbgrader", || {
        Environment::ready(&paths.nbgrader(), &paths.requirements("nbgrader")).map(drop)
    })?;
    if options.peft {
        phases.run("PyTorch and HF PEFT (downloads gigabytes the first time)", || {
            Environment::ready(&paths.peft(), &paths.requirements("peft")).map(drop)
        })?;
        phases.run("PyTorch and AdapterHub's library", || {
            Environment::ready(&paths.adapterhub(), &paths.requirements("adapterhub")).map(drop)
        })?;
    } else if options.pattern.is_none() {
        println!(
            "\nSKIPPED: tests against HF PEFT and AdapterHub's library, which need PyTorch; `cargo xtask test --peft` installs them and runs these tests"
        );
    }
    Ok(())
}

/// Runs the checks of the sources and of the documentation.
fn checks(phases: &mut Phases, paths: &Paths, found: &mut Found) {
    // A failed check does not stop the tests, so that one call reports everything.
    found.check(phases.run("format", || check::format(paths)));
    found.check(phases.run("Python checks", || check::python(paths)));
    found.check(phases.run("spelling", || check::spelling(paths)));
    found.optional_check(phases.run("licenses", || check::licenses(paths)));
    found.optional_check(phases.run("user guide", || check::guide(paths)));
    found.check(phases.run("clippy", || check::clippy(paths)));
    found.check(phases.run("documentation", || check::documentation(paths)));
}

/// Parses the arguments.
fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options::default();
    for word in arguments {
        match word.as_str() {
            "--long" => options.long = true,
            "--peft" => options.peft = true,
            flag if flag.starts_with('-') => {
                return Err(Problem::new(format!("`test` does not take `{flag}`"))
                    .hint("it takes: --long, --peft, and a part of a test name"));
            }
            pattern if options.pattern.is_none() => options.pattern = Some(pattern.to_owned()),
            second => {
                return Err(Problem::new(format!(
                    "`test` takes one pattern, found a second one: `{second}`"
                )));
            }
        }
    }
    Ok(options)
}

/// Checks the system requirements of the tests.
fn machine_needs() -> Result<()> {
    machine::c_compiler()?;
    machine::python_with_venv()?;
    machine::rust_sources()?;
    machine::chromium()
}

/// Installs the kernel. Its library uses the dependencies that were compiled for the tests; returns
/// those that were compiled again.
fn install(paths: &Paths) -> Result<Vec<String>> {
    let compiled = lab::install_for_tests(paths)?;
    println!("  {} dependencies compiled again {}", compiled.len(), compiled.join(" "));
    Ok(compiled)
}

/// Unit and integration tests, through nextest where it is installed.
fn rust_tests(paths: &Paths, options: &Options, group: Group) -> Result<Report> {
    let nextest = shell::which("cargo-nextest").is_some();
    let words: &[&str] = if nextest {
        &["nextest", "run", "--all-targets", "--no-fail-fast", "--no-tests", "pass"]
    } else {
        &["test", "--all-targets", "--no-fail-fast"]
    };
    let mut cargo = group.cargo(paths, words);
    cargo.args(&options.pattern);
    if options.long {
        cargo.env("GRAFT_TEST_LONG", "1");
    }
    if options.peft {
        cargo.args(if nextest { ["--run-ignored", "all"] } else { ["--", "--include-ignored"] });
        cargo
            .env("GRAFT_PEFT_PYTHON", paths.peft().join("bin/python"))
            .env("GRAFT_ADAPTERHUB_PYTHON", paths.adapterhub().join("bin/python"));
    }
    runner::run(&mut cargo)
}

/// Runs the examples in doc comments, which nextest does not run.
fn examples(paths: &Paths, group: Group) -> Result<Report> {
    runner::run(&mut group.cargo(paths, &["test", "--doc", "--no-fail-fast"]))
}

/// Runs the tests with real Jupyter clients on the installed kernel, two at a time.
fn end_to_end(paths: &Paths, options: &Options) -> Result<Report> {
    let junit = paths.test().join("pytest.xml");
    let mut pytest = Environment::at(&paths.test()).python();
    pytest
        .args(["-m", "pytest", "--numprocesses", "2", "--dist", "worksteal", "--junitxml"])
        .arg(&junit);
    if let Some(pattern) = &options.pattern {
        // A pattern may match no Python test. pytest only gets the last part of a Rust path,
        // because its expressions cannot contain `::`.
        pytest.args([
            "--suppress-no-test-exit-code",
            "-k",
            pattern.trim_end_matches(':').rsplit("::").next().unwrap_or(pattern),
        ]);
    }
    pytest
        .arg(paths.root.join("tests/python"))
        .current_dir(&paths.root)
        .env("GRAFT_TEST_PREFIX", paths.test());
    if options.long {
        pytest.env("GRAFT_TEST_LONG", "1");
    }
    let mut report = runner::run(&mut pytest)?;
    report.timings =
        std::fs::read_to_string(&junit).map(|xml| timings::from_junit(&xml)).unwrap_or_default();
    Ok(report)
}

/// Prints the failures, then the counts as the last line of the output.
fn conclude(found: &Found) -> Result<()> {
    for problem in &found.broken {
        println!("\nxtask: {problem}");
    }
    let failed = found.tally.failed + found.broken.len() as u64;
    println!("\n{} passed, {failed} failed, {} skipped", found.tally.passed, found.tally.skipped);
    if failed == 0 { Ok(()) } else { Err(Problem::new(format!("{failed} failed")).reported()) }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_failed_phase_is_printed_and_fails_the_task() {
        let passed = Tally { passed: 3, failed: 0, skipped: 1 };
        assert!(conclude(&Found { tally: passed, ..Found::default() }).is_ok());
        assert!(
            conclude(&Found {
                tally: passed,
                broken: vec![Problem::new("clippy")],
                ..Found::default()
            })
            .is_err_and(|problem| problem.is_reported())
        );
        assert!(
            conclude(&Found { tally: Tally { failed: 1, ..passed }, ..Found::default() })
                .is_err_and(|problem| problem.is_reported())
        );
    }

    #[test]
    fn one_pattern_selects_tests_of_both_runners() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            options(&words("--long storm")).unwrap(),
            Options { long: true, peft: false, pattern: Some("storm".to_owned()) }
        );
        assert!(options(&words("storm calm")).is_err() && options(&words("--only storm")).is_err());
    }

    #[test]
    fn an_unknown_argument_also_ends_with_the_counts() {
        assert!(run(&["--nonsense".to_owned()]).is_err_and(|problem| problem.is_reported()));
    }
}
