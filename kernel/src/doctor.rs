//! `graft doctor`: one line for each thing that Graft needs, with the one command that mends it.

mod gpu;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use graft_prebuilt::{Dirs, toolchain};

/// What was found of one thing.
struct Finding {
    name: &'static str,
    state: State,
    text: String,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is there.
    Good,
    /// Something works less well, and the text says what to do.
    Poor,
    /// Graft does not work without it.
    Bad,
}

/// Prints the findings; fails when something is missing that Graft does not work without.
pub(crate) fn run(of_gpu: bool) -> ExitCode {
    let findings = if of_gpu { gpu::findings() } else { machine() };
    for finding in &findings {
        let mark = match finding.state {
            State::Good => "ok  ",
            State::Poor => "note",
            State::Bad => "FAIL",
        };
        println!("{mark}  {:<16} {}", finding.name, graft_render::visible(&finding.text));
    }
    if findings.iter().any(|finding| finding.state == State::Bad) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// What every use of Graft needs.
fn machine() -> Vec<Finding> {
    vec![
        platform(),
        rustc(),
        cargo(),
        linker(),
        rust_sources(),
        template_state(),
        room(),
        program("python", &["python3", "python"]),
        jupyter(),
        kernel_specification(),
    ]
}

fn good(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, state: State::Good, text: text.into() }
}

fn poor(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, state: State::Poor, text: text.into() }
}

fn bad(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, state: State::Bad, text: text.into() }
}

fn platform() -> Finding {
    let name = "platform";
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        good(name, graft_prebuilt::TARGET)
    } else {
        bad(name, format!("Graft runs on {} only", graft_prebuilt::TARGET))
    }
}

fn rustc() -> Finding {
    match toolchain::verbose_version() {
        Ok(version) => good("rustc", version.lines().next().unwrap_or_default()),
        Err(_) => poor(
            "rustc",
            "not found, so magics work and Rust cells do not: curl https://sh.rustup.rs -sSf | sh",
        ),
    }
}

fn cargo() -> Finding {
    match toolchain::cargo_version() {
        Some(version) => good("cargo", version),
        None => poor(
            "cargo",
            "not found, so magics work and Rust cells do not: curl https://sh.rustup.rs -sSf | sh",
        ),
    }
}

fn linker() -> Finding {
    match first_line("cc", &["--version"]) {
        Some(version) => good("linker", version),
        None => poor(
            "linker",
            "no C compiler `cc`, so Rust cells cannot be linked: sudo apt install gcc",
        ),
    }
}

fn rust_sources() -> Finding {
    let found = toolchain::standard_sources();
    if let Some((sources, compiler)) =
        found.as_deref().and_then(toolchain::sources_of_another_version)
    {
        let text = format!(
            "those of Rust {sources} beside a compiler {compiler}: some untyped `let` with vec! or format! fail; rustup component add rust-src"
        );
        return poor("rust sources", text);
    }
    match found {
        Some(path) => good("rust sources", path.display().to_string()),
        None => poor(
            "rust sources",
            format!("missing, so Rust cells cannot keep variables: {}", toolchain::SOURCES_HINT),
        ),
    }
}

fn template_state() -> Finding {
    let places = Dirs::user();
    match graft_prebuilt::find(&places) {
        Some(template) => good("template", template.layout.root().display().to_string()),
        None if places
            .all_prebuilt()
            .iter()
            .any(|folder| graft_prebuilt::open(folder).is_some()) =>
        {
            poor("template", "built by another compiler or from other sources: graft install")
        }
        None => {
            poor("template", "not built yet; the first kernel builds it, or now: graft install")
        }
    }
}

fn room() -> Finding {
    let cache = Dirs::user().cache().to_owned();
    let nearest = cache.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    let probe = nearest.join(format!(".graft-doctor-{}", std::process::id()));
    let writable = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).is_ok();
    if writable {
        good("cache", cache.display().to_string())
    } else {
        bad(
            "cache",
            format!("{} cannot be written: export XDG_CACHE_HOME=FOLDER", nearest.display()),
        )
    }
}

fn program(name: &'static str, words: &[&str]) -> Finding {
    match words.iter().find_map(|word| first_line(word, &["--version"])) {
        Some(version) => good(name, version),
        None => poor(name, "not found; Jupyter needs it: sudo apt install python3 python3-venv"),
    }
}

fn jupyter() -> Finding {
    match first_line("jupyter", &["--version"]) {
        Some(version) => good("jupyter", version),
        None => {
            poor("jupyter", "not on PATH (one in a Python environment may be): cargo xtask lab")
        }
    }
}

fn kernel_specification() -> Finding {
    match kernel_folders()
        .into_iter()
        .map(|folder| folder.join("kernels/graft/kernel.json"))
        .find(|path| path.exists())
    {
        Some(path) => good("kernel", path.display().to_string()),
        None => poor("kernel", "not installed for this user: graft install"),
    }
}

/// Where Jupyter looks, as far as this program can know.
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
    let whole = ["/usr/local/share/jupyter", "/usr/share/jupyter"].map(PathBuf::from);
    listed.into_iter().chain(user).chain(environment).chain(whole).collect()
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}
