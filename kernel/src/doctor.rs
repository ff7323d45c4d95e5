//! `graft doctor`: checks the requirements of Graft and prints one line each, with a command that
//! fixes the problem.

mod gpu;
mod jupyter;

use std::path::Path;
use std::process::{Command, ExitCode};

use graft_prebuilt::{Dirs, Installer, PrebuiltLibrary, RustPart, toolchain};

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
    let findings = match gpu_only {
        true => gpu::findings(),
        false => machine().into_iter().chain(jupyter::findings()).collect(),
    };
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
    let library = graft_prebuilt::find(&Dirs::user());
    let version = library.as_ref().and_then(|library| library.info.version());
    let fix = version.map_or_else(
        || "curl https://sh.rustup.rs -sSf | sh".to_owned(),
        toolchain::install_command,
    );
    let Ok(found) = toolchain::verbose_version() else {
        let needed = version.map_or_else(String::new, |version| format!(" {version}"));
        let text = format!("not found; magics work, Rust cells need rustc{needed}: {fix}");
        return note("rustc", text);
    };
    let found = found.lines().next().unwrap_or_default();
    match library {
        Some(library) if !library.fits_the_compiler().unwrap_or(false) => note(
            "rustc",
            format!(
                "{found}, but the prebuilt library needs {}; the first Rust cell builds it again, or install that compiler: {fix}",
                library.info.rustc
            ),
        ),
        _ => ok("rustc", found),
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
    let name = "prebuilt library";
    let dirs = Dirs::user();
    if let Some(library) = graft_prebuilt::find(&dirs) {
        return found_library(name, &library);
    }
    if let Some(file) = graft_prebuilt::damaged_file(&dirs) {
        let repair = Installer::of_file(&file).repair(&file);
        return fail(name, format!("`{}` is missing or truncated: {repair}", file.display()));
    }
    match dirs.all_prebuilt().iter().any(|folder| graft_prebuilt::open(folder).is_some()) {
        true => note(name, "built from other sources: graft install"),
        false => {
            note(name, "not built yet; the first kernel builds it, or build it now: graft install")
        }
    }
}

/// Describes a library that magics can use; Rust cells may lack files.
fn found_library(name: &'static str, library: &PrebuiltLibrary) -> Finding {
    let folder = library.layout.root().display();
    let part = library.rust_part();
    match part.problem(&library.layout) {
        None => ok(name, folder.to_string()),
        Some((problem, solution)) if part == RustPart::Missing => note(
            name,
            format!("{folder}; Rust cells do not work, magics do: {problem}: {solution}"),
        ),
        Some((problem, solution)) => {
            fail(name, format!("Rust cells do not work: {problem}: {solution}"))
        }
    }
}

fn cache() -> Finding {
    let cache = Dirs::user().cache().to_owned();
    let nearest = cache.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if !cache.exists() && is_writable(nearest) {
        // The kernel will create it.
        return ok("cache", cache.display().to_string());
    }
    match Dirs::user().claimed() {
        Ok(dirs) if dirs.cache() == cache && is_writable(&cache) => {
            ok("cache", cache.display().to_string())
        }
        Ok(dirs) if is_writable(dirs.cache()) => note(
            "cache",
            format!(
                "{} is not writable; {} is used until the machine restarts: export XDG_CACHE_HOME=FOLDER",
                cache.display(),
                dirs.cache().display()
            ),
        ),
        Ok(_) | Err(_) => fail(
            "cache",
            format!("{} is not writable: export XDG_CACHE_HOME=FOLDER", cache.display()),
        ),
    }
}

/// Whether a file can be created in a folder.
fn is_writable(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
}

fn program(name: &'static str, words: &[&str]) -> Finding {
    match words.iter().find_map(|word| first_line(word, &["--version"])) {
        Some(version) => ok(name, version),
        None => note(name, "not found, required by Jupyter: sudo apt install python3 python3-venv"),
    }
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}
