//! `cargo xtask lab`: from a clean clone to an open notebook.

use std::path::{Path, PathBuf};

use crate::machine;
use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::reuse;
use crate::shell;

/// The parsed arguments.
#[derive(Debug, Default, PartialEq)]
struct Options {
    no_browser: bool,
    run: Option<String>,
}

/// Builds and installs, then opens the notebooks or executes one of them.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = options(arguments)?;
    let paths = Paths::here();
    let mut phases = Phases::new(5);
    phases.run("system requirements", || {
        machine::c_compiler()
            .and_then(|()| machine::python_with_venv())
            .and_then(|()| machine::rust_sources())
    })?;
    phases
        .run("the kernel's binary (evcxr and rust-analyzer take minutes the first time)", || {
            build(&paths)
        })?;
    let environment = phases.run("a private JupyterLab", || {
        Environment::ready(&paths.lab(), &paths.requirements("lab"))
    })?;
    phases
        .run("the kernel and its prebuilt Rust library (takes minutes the first time)", || {
            install(&paths, &paths.graft(), &paths.lab())
        })?;
    match &options.run {
        Some(wanted) => {
            let notebook = notebook(&paths, wanted)?;
            phases.run(&format!("{} from top to bottom", file_name(&notebook)), || {
                execute(&paths, &environment, &notebook)
            })?;
            phases.summary();
            Ok(())
        }
        None => {
            phases.summary();
            open(&paths, &environment, options.no_browser)
        }
    }
}

/// Parses the arguments.
fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--no-browser" => options.no_browser = true,
            "--run" => {
                options.run = Some(
                    words
                        .next()
                        .ok_or_else(|| {
                            Problem::new("`--run` needs the number of a notebook, such as 01")
                        })?
                        .clone(),
                )
            }
            other => {
                return Err(Problem::new(format!("`lab` does not take `{other}`"))
                    .hint("it takes: --no-browser, --run NN"));
            }
        }
    }
    Ok(options)
}

/// Builds the binary that is installed.
pub(crate) fn build(paths: &Paths) -> Result<()> {
    shell::run(
        shell::command(
            "cargo",
            &["build", "--locked", "--package", "graft-kernel", "--bin", "graft"],
        )
        .current_dir(&paths.root),
    )
}

/// Installs the kernel into a prefix. The program builds the prebuilt library and shows the
/// progress.
pub(crate) fn install(paths: &Paths, program: &Path, prefix: &Path) -> Result<()> {
    shell::run(&mut install_command(paths, program, prefix))
}

/// Installs the kernel for the tests; the prebuilt library is in the prefix, so that each test
/// may have an empty cache of its own. Returns the dependencies that its build compiled.
pub(crate) fn install_for_tests(paths: &Paths) -> Result<Vec<String>> {
    let mut install = install_command(paths, &paths.graft(), &paths.test());
    let mut compiled = Vec::new();
    let status = shell::watch(&mut install, |line| {
        compiled.extend(reuse::compiled_dependency(line).map(str::to_owned));
    })?;
    shell::succeeded(&install, status).map(|()| compiled)
}

/// The command that installs the kernel. The library is compiled in cargo's own target directory,
/// where the tests of the tensor crates compile the same dependencies.
fn install_command(paths: &Paths, program: &Path, prefix: &Path) -> std::process::Command {
    let mut install = shell::command(program, &["install", "--prefix"]);
    install.arg(prefix).arg("--build-dir").arg(&paths.target);
    install
}

/// Finds the notebook whose file name begins with `wanted`.
fn notebook(paths: &Paths, wanted: &str) -> Result<PathBuf> {
    let folder = paths.root.join("notebooks");
    let entries =
        std::fs::read_dir(&folder).map_err(|error| Problem::file("read", &folder, &error))?;
    let mut notebooks: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "ipynb"))
        .collect();
    notebooks.sort();
    let names: Vec<String> = notebooks.iter().map(|path| file_name(path)).collect();
    let found = names.iter().position(|name| name.starts_with(wanted));
    found.map(|index| notebooks[index].clone()).ok_or_else(|| {
        Problem::new(format!("no notebook name begins with `{wanted}`"))
            .hint(format!("available: {}", names.join(", ")))
    })
}

/// Returns the last part of a path as text.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Executes a notebook headless and prints the outputs of its cells, figures in their plain-text
/// form.
fn execute(paths: &Paths, environment: &Environment, notebook: &Path) -> Result<()> {
    shell::run(
        environment
            .python()
            .arg(paths.script("execute_notebook.py"))
            .arg(notebook)
            .arg("--figures"),
    )
}

/// Starts JupyterLab on the notebooks and blocks until it exits.
fn open(paths: &Paths, environment: &Environment, no_browser: bool) -> Result<()> {
    println!("\nopening 01-first-adapter.ipynb in JupyterLab; stop it with Ctrl-C");
    let mut lab = environment.program("jupyter-lab");
    lab.arg(format!("--ServerApp.root_dir={}", paths.root.join("notebooks").display()))
        .arg("--LabApp.default_url=/lab/tree/01-first-adapter.ipynb");
    if no_browser {
        lab.arg("--no-browser");
    }
    if machine::is_root() {
        lab.arg("--allow-root");
    }
    shell::run(lab.stdin(std::process::Stdio::inherit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_parsed_and_unknown_ones_rejected() {
        assert_eq!(
            options(&words("--no-browser")).unwrap(),
            Options { no_browser: true, run: None }
        );
        assert_eq!(options(&words("--run 01")).unwrap().run.as_deref(), Some("01"));
        assert!(options(&words("--run")).is_err());
        assert!(options(&words("--browser")).is_err());
    }

    #[test]
    fn a_notebook_is_found_by_its_number_and_a_wrong_one_lists_the_others() {
        let paths = Paths::here();
        assert!(notebook(&paths, "01").unwrap().ends_with("notebooks/01-first-adapter.ipynb"));
        assert!(
            notebook(&paths, "99").unwrap_err().to_string().contains("02-magics-and-rust.ipynb")
        );
    }
}
