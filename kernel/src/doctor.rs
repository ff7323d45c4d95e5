//! `graft doctor`: checks the requirements of Graft and prints one line each, with a command that
//! fixes the problem.

mod gpu;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use graft_prebuilt::{Dirs, toolchain};

/// The result of one check.
struct Finding {
    name: &'static str,
    status: Status,
    text: String,
}

/// Severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// The requirement is met.
    Ok,
    /// Part of Graft does not work; the text contains a fix.
    Note,
    /// Graft does not work.
    Fail,
}

/// Runs the checks and prints the findings; the exit status is 1 if one of them has failed.
pub(crate) fn run(gpu_only: bool) -> ExitCode {
    let findings = if gpu_only { gpu::findings() } else { machine() };
    for finding in &findings {
        let mark = match finding.status {
            Status::Ok => "ok  ",
            Status::Note => "note",
            Status::Fail => "FAIL",
        };
        println!("{mark}  {:<16} {}", finding.name, graft_render::visible(&finding.text));
    }
    if findings.iter().any(|finding| finding.status == Status::Fail) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The checks that do not concern GPUs.
fn machine() -> Vec<Finding> {
    vec![
        platform(),
        rustc(),
        cargo(),
        linker(),
        rust_sources(),
        prebuilt_library(),
        cache(),
        program("python", &["python3", "python"]),
        jupyter(),
        kernel_spec(),
    ]
}

fn ok(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, status: Status::Ok, text: text.into() }
}

fn note(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, status: Status::Note, text: text.into() }
}

fn fail(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, status: Status::Fail, text: text.into() }
}

fn platform() -> Finding {
    let name = "platform";
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        ok(name, graft_prebuilt::TARGET)
    } else {
        fail(name, format!("Graft runs on {} only", graft_prebuilt::TARGET))
    }
}

fn rustc() -> Finding {
    match toolchain::verbose_version() {
        Ok(version) => ok("rustc", version.lines().next().unwrap_or_default()),
        Err(_) => note(
            "rustc",
            "not found; Rust cells do not work, magics do: curl https://sh.rustup.rs -sSf | sh",
        ),
    }
}

fn cargo() -> Finding {
    match toolchain::cargo_version() {
        Some(version) => ok("cargo", version),
        None => note(
            "cargo",
            "not found; Rust cells do not work, magics do: curl https://sh.rustup.rs -sSf | sh",
        ),
    }
}

fn linker() -> Finding {
    match first_line("cc", &["--version"]) {
        Some(version) => ok("linker", version),
        None => note(
            "linker",
            "C compiler `cc` not found; Rust cells cannot be linked: sudo apt install gcc",
        ),
    }
}

fn rust_sources() -> Finding {
    let found = toolchain::standard_sources();
    if let Some((sources, compiler)) =
        found.as_deref().and_then(toolchain::sources_of_another_version)
    {
        let text = format!(
            "rust-src is {sources} but rustc is {compiler}; completion may lack names: rustup component add rust-src"
        );
        return note("rust-src", text);
    }
    match found {
        Some(path) => ok("rust-src", path.display().to_string()),
        None => note(
            "rust-src",
            format!("not found; Tab completes no Rust names: {}", toolchain::SOURCES_HINT),
        ),
    }
}

fn prebuilt_library() -> Finding {
    let dirs = Dirs::user();
    match graft_prebuilt::find(&dirs) {
        Some(library) => ok("prebuilt library", library.layout.root().display().to_string()),
        None if dirs.all_prebuilt().iter().any(|folder| graft_prebuilt::open(folder).is_some()) => {
            note(
                "prebuilt library",
                "built by another compiler or from other sources: graft install",
            )
        }
        None => note(
            "prebuilt library",
            "not built yet; the first kernel builds it, or build it now: graft install",
        ),
    }
}

fn cache() -> Finding {
    let cache = Dirs::user().cache().to_owned();
    let nearest = cache.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    let probe = nearest.join(format!(".graft-doctor-{}", std::process::id()));
    let writable = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).is_ok();
    if writable {
        ok("cache", cache.display().to_string())
    } else {
        fail(
            "cache",
            format!("{} is not writable: export XDG_CACHE_HOME=FOLDER", nearest.display()),
        )
    }
}

fn program(name: &'static str, words: &[&str]) -> Finding {
    match words.iter().find_map(|word| first_line(word, &["--version"])) {
        Some(version) => ok(name, version),
        None => note(name, "not found, required by Jupyter: sudo apt install python3 python3-venv"),
    }
}

fn jupyter() -> Finding {
    match first_line("jupyter", &["--version"]) {
        Some(version) => ok("jupyter", version),
        None => note(
            "jupyter",
            "not on PATH; it may be in a Python environment that is not active: cargo xtask lab",
        ),
    }
}

fn kernel_spec() -> Finding {
    match kernel_folders()
        .into_iter()
        .map(|folder| folder.join("kernels/graft/kernel.json"))
        .find(|path| path.exists())
    {
        Some(path) => ok("kernel", path.display().to_string()),
        None => note("kernel", "not installed for this user: graft install"),
    }
}

/// The folders in which Jupyter searches for kernels, as far as they can be determined.
fn kernel_folders() -> Vec<PathBuf> {
    let listed = std::env::var_os("JUPYTER_PATH")
        .map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>())
        .unwrap_or_default();
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    let user = std::env::var_os("JUPYTER_DATA_DIR")
        .map(PathBuf::from)
        .or_else(|| data.map(|data| data.join("jupyter")));
    let environment =
        std::env::var_os("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join("share/jupyter"));
    let system = ["/usr/local/share/jupyter", "/usr/share/jupyter"].map(PathBuf::from);
    listed.into_iter().chain(user).chain(environment).chain(system).collect()
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}
