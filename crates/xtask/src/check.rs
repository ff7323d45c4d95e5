//! `cargo xtask check`: static checks that do not run the code.

use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::Result;
use crate::python::Environment;
use crate::shell;

/// Checks format, clippy and documentation of the workspace.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::refuse_unknown("check", arguments, &[])?;
    let paths = Paths::here();
    let mut phases = Phases::new(3);
    phases.run("format", || format(&paths))?;
    phases.run("clippy", || clippy(&paths))?;
    phases.run("documentation", || documentation(&paths))?;
    phases.summary();
    Ok(())
}

/// Checks that every file is formatted.
pub(crate) fn format(paths: &Paths) -> Result<()> {
    shell::run(shell::command("cargo", &["fmt", "--all", "--check"]).current_dir(&paths.root))
}

/// Checks that clippy reports no warning, tests included.
pub(crate) fn clippy(paths: &Paths) -> Result<()> {
    let words = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::run(shell::command("cargo", &words).current_dir(&paths.root))
}

/// Checks that the documentation of every library builds without warnings, such as broken links.
/// The binary `graft` is left out because its page would collide with that of the library.
pub(crate) fn documentation(paths: &Paths) -> Result<()> {
    let mut cargo = shell::command(
        "cargo",
        &["doc", "--locked", "--workspace", "--no-deps", "--lib", "--document-private-items"],
    );
    shell::run(cargo.current_dir(&paths.root).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Checks the Python code for unused names, wrong imports and likely bugs, by the rules in
/// `tests/python/pyproject.toml`.
pub(crate) fn python(paths: &Paths) -> Result<()> {
    let tests = paths.root.join("tests/python");
    let mut ruff = Environment::at(&paths.test()).program("ruff");
    shell::run(ruff.args(["check", "--no-cache"]).arg(&tests))?;
    let mut ruff = Environment::at(&paths.test()).program("ruff");
    ruff.args(["check", "--no-cache", "--config"]).arg(tests.join("pyproject.toml"));
    let others = ["crates/xtask/python", "kernel/python"];
    shell::run(ruff.args(others.map(|folder| paths.root.join(folder))))
}

/// Checks the spelling of all files, by the rules in `_typos.toml`.
pub(crate) fn spelling(paths: &Paths) -> Result<()> {
    let mut typos = Environment::at(&paths.test()).program("typos");
    shell::run(typos.args(["--config", "_typos.toml"]).current_dir(&paths.root))
}

/// Builds the user guide with mdBook; returns whether mdBook is installed. The tests check the
/// links of the guide without mdBook.
pub(crate) fn guide(paths: &Paths) -> Result<bool> {
    if !is_installed("mdbook", "cargo install mdbook --locked") {
        return Ok(false);
    }
    let mut mdbook = shell::command("mdbook", &["build", "docs", "--dest-dir"]);
    mdbook.arg(paths.root.join("target/guide")).current_dir(&paths.root);
    shell::run(&mut mdbook).map(|()| true)
}

/// Checks licenses, sources and banned crates with cargo-deny, by the rules in `deny.toml`; returns
/// whether cargo-deny is installed.
pub(crate) fn licenses(paths: &Paths) -> Result<bool> {
    if !is_installed("cargo-deny", "cargo install cargo-deny --locked") {
        return Ok(false);
    }
    let words = ["deny", "--locked", "check", "licenses", "bans", "sources"];
    shell::run(shell::command("cargo", &words).current_dir(&paths.root)).map(|()| true)
}

/// Whether an optional tool is installed; prints how to install it otherwise.
fn is_installed(tool: &str, install: &str) -> bool {
    let found = shell::which(tool).is_some();
    if !found {
        println!("SKIPPED: `{tool}` is not installed; install it with `{install}`");
    }
    found
}
