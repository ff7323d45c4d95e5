//! `cargo xtask goldens DIR`: the parity tests against reference cases that lie elsewhere.

use std::path::Path;

use crate::places::Places;
use crate::problem::{Problem, Result};
use crate::runner;
use crate::shell;

/// Runs every test whose name speaks of goldens with `GRAFT_GOLDENS` set to the folder, such as one made with another seed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [folder] = arguments else {
        return Err(Problem::new("`goldens` takes one folder").hint("it is laid out as tests/goldens: MODEL/CASE/case.json"));
    };
    let folder = Path::new(folder).canonicalize().map_err(|error| Problem::file("open", Path::new(folder), &error))?;
    let mut cargo = shell::command("cargo", &["test", "--locked", "--package", "graft-peft", "golden"]);
    let tally = runner::run(cargo.current_dir(Places::here().root).env("GRAFT_GOLDENS", folder))?;
    match (tally.passed, tally.failed) {
        (0, 0) => Err(Problem::new("no parity test ran")),
        (_, 0) => Ok(()),
        (_, failed) => Err(Problem::new(format!("{failed} parity tests failed"))),
    }
}
