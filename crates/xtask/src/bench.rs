//! `cargo xtask bench`: measures the kernel and its peers in one run on one machine. `bench train`
//! measures training, `bench curves` how it scales, `bench methods` every fine-tuning method, and
//! `bench gpu` a step on a GPU.

mod gpu;
mod train;

use std::path::{Path, PathBuf};

use crate::lab;
use crate::machine;
use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::Result;
use crate::python::Environment;
use crate::shell;

/// Arguments of `cargo install` for the peer, which only builds with its lock file.
const PEER: &[&str] = &["install", "evcxr_jupyter", "--version", "0.22.0", "--locked", "--root"];

/// Builds, installs and measures.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some((task @ ("train" | "curves" | "methods"), rest)) =
        arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        return train::run(task, rest);
    }
    if let Some(("gpu", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        return gpu::run(rest);
    }
    // Without an argument, the kernel is measured.
    let arguments = arguments.strip_prefix(&["kernel".to_owned()]).unwrap_or(arguments);
    crate::refuse_unknown("bench", arguments, &["--peers"])?;
    let paths = Paths::here();
    let mut phases = Phases::new(6);
    phases.run("system requirements", || {
        machine::c_compiler()
            .and_then(|()| machine::python_with_venv())
            .and_then(|()| machine::rust_sources())
    })?;
    let environment = phases.run("a private Python environment", || {
        Environment::ready(&paths.test(), &paths.requirements("test"))
    })?;
    phases.run("the kernel's binary", || lab::build(&paths))?;
    phases.run("the kernel and its prebuilt Rust library", || {
        lab::install_for_tests(&paths).map(drop)
    })?;
    let peer = phases.run("the peer evcxr_jupyter", || {
        peer(&paths, arguments.iter().any(|it| it == "--peers"))
    })?;
    phases.run("measurements", || measure(&environment, &paths, peer.as_deref()))?;
    phases.summary();
    Ok(())
}

/// Runs the script that measures the kernel and, if there is one, the peer.
fn measure(environment: &Environment, paths: &Paths, peer: Option<&Path>) -> Result<()> {
    let mut python = environment.python();
    python.arg(paths.script("bench.py")).env("GRAFT_TEST_PREFIX", paths.test());
    if let Some(peer) = peer {
        python.arg("--evcxr").arg(peer);
    }
    shell::run(&mut python)
}

/// Returns the peer's binary: on PATH, built earlier, or built now if requested.
fn peer(paths: &Paths, build: bool) -> Result<Option<PathBuf>> {
    let root = paths.target.join("peers");
    let built = root.join("bin/evcxr_jupyter");
    if let Some(found) =
        shell::which("evcxr_jupyter").or_else(|| built.is_file().then(|| built.clone()))
    {
        return Ok(Some(found));
    }
    if !build {
        println!("  not installed; `cargo xtask bench --peers` builds it (about 5 minutes)");
        return Ok(None);
    }
    shell::run(shell::command("cargo", PEER).arg(&root).env_remove("CARGO_TARGET_DIR"))?;
    Ok(Some(built))
}
