//! `cargo xtask check`: what a compiler can say without running anything.

use crate::phases::Phases;
use crate::places::Places;
use crate::problem::Result;
use crate::python::Environment;
use crate::shell;

/// Format, clippy and documentation over the whole workspace.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::refuse_unknown("check", arguments, &[])?;
    let places = Places::here();
    let mut phases = Phases::new(3);
    phases.run("format", || format(&places))?;
    phases.run("clippy", || clippy(&places))?;
    phases.run("documentation", || documentation(&places))?;
    phases.summary();
    Ok(())
}

/// Every file is formatted.
pub(crate) fn format(places: &Places) -> Result<()> {
    shell::run(shell::command("cargo", &["fmt", "--all", "--check"]).current_dir(&places.root))
}

/// No warning anywhere, tests included.
pub(crate) fn clippy(places: &Places) -> Result<()> {
    let words = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::run(shell::command("cargo", &words).current_dir(&places.root))
}

/// The documentation of every library builds without a warning, so that no link in it is dead. (The binary `graft` would share a page with the library.)
pub(crate) fn documentation(places: &Places) -> Result<()> {
    let mut cargo = shell::command(
        "cargo",
        &["doc", "--locked", "--workspace", "--no-deps", "--lib", "--document-private-items"],
    );
    shell::run(cargo.current_dir(&places.root).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The Python tests have no unused names, wrong imports or likely bugs, by the rules in `tests/python/pyproject.toml`.
pub(crate) fn python(places: &Places) -> Result<()> {
    let mut ruff = Environment::at(&places.test()).program("ruff");
    shell::run(ruff.args(["check", "--no-cache"]).arg(places.root.join("tests/python")))
}
