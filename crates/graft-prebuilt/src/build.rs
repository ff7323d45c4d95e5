//! Builds the prebuilt library: unpacks the sources, compiles the facade as a shared library, and
//! prepares the skeleton of sessions.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{
    BuildInfo, Dirs, FACADE, Layout, PrebuiltError, PrebuiltLibrary, TARGET, Variant, archive,
    fingerprint, manifests, open, process, reuse, toolchain,
};

mod artifacts;
mod stale;

/// The version of the folder layout, part of the fingerprint.
pub(super) const LAYOUT_VERSION: &str = "7";

/// Number of cargo's last lines in the error message.
const ERROR_LINES: usize = 40;

/// The process id of the running cargo, which leads a process group.
static COMPILING: Mutex<Option<u32>> = Mutex::new(None);

/// Stops the running compilation, if any, with all its compilers. The next build continues with the
/// crates that are finished.
pub fn stop() {
    if let Some(cargo) = *COMPILING.lock().unwrap_or_else(PoisonError::into_inner) {
        process::signal_group(cargo, libc::SIGKILL);
    }
}

/// Where cargo compiles, and what remains of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intermediates {
    /// In a folder next to the library, which the next build reuses.
    Keep,
    /// In a folder next to the library, which is removed when the library is complete.
    Remove,
    /// In this target folder of cargo, which is kept.
    In(PathBuf),
}

/// Builds the prebuilt library for this program and compiler, unless it exists. `progress` receives
/// status lines. The crates of an interrupted build are reused. A second builder blocks until
/// the first has finished.
///
/// # Errors
/// Returns an error if the toolchain is missing, cargo fails, or a file cannot be written.
pub fn build(
    dirs: &Dirs,
    variant: Variant,
    intermediates: &Intermediates,
    progress: &mut dyn FnMut(&str),
) -> Result<PrebuiltLibrary, PrebuiltError> {
    let fingerprint = fingerprint(variant)?;
    let is_complete = |library: &PrebuiltLibrary| library.has_rust_part();
    if let Some(ready) = super::find_variant(dirs, variant).filter(is_complete) {
        return Ok(ready);
    }
    dirs.claim().map_err(PrebuiltError::file(dirs.cache()))?;
    let layout = Layout::new(dirs.prebuilt_folder(&fingerprint));
    std::fs::create_dir_all(layout.root()).map_err(PrebuiltError::file(layout.root()))?;
    let _lock = wait_for_lock(&layout, progress)?;
    if let Some(ready) = open(layout.root()).filter(is_complete) {
        return Ok(ready);
    }
    let target = match intermediates {
        Intermediates::In(folder) => folder.clone(),
        Intermediates::Keep | Intermediates::Remove => layout.target(),
    };
    if !target.exists()
        && let Some(other) = dirs.reusable().find(|folder| folder.join("target").is_dir())
    {
        // Without them everything is compiled. Sources that are equal and no newer spare Graft's
        // own crates too.
        let _ = reuse::copy(&other.join("target"), &target);
        let _ = reuse::copy(&other.join(fingerprint.short()).join("sources"), &layout.sources());
    }
    write_library(&layout, &target, variant, progress)?;
    let rustc = toolchain::verbose_version()?.lines().next().unwrap_or_default().to_owned();
    BuildInfo::new(fingerprint, archive::HASH, rustc, &layout)?.write(&layout.build_info())?;
    if *intermediates == Intermediates::Remove {
        // The library is complete without them.
        let _ = std::fs::remove_dir_all(&target);
    }
    open(layout.root())
        .filter(is_complete)
        .ok_or_else(|| PrebuiltError::Build { message: "the build produced no library".to_owned() })
}

/// Writes all files of the library but its description.
fn write_library(
    layout: &Layout,
    target: &Path,
    variant: Variant,
    progress: &mut dyn FnMut(&str),
) -> Result<(), PrebuiltError> {
    progress("unpacking sources");
    write_sources(layout)?;
    stale::forget(target, layout.root());
    compile(layout, target, variant, progress)?;
    collect_std(layout)?;
    write_native(layout, variant)?;
    progress("preparing sessions");
    write_external(layout)?;
    prepare_sessions(layout)
}

/// Blocks until no other process builds. Closing the file releases the lock.
fn wait_for_lock(
    layout: &Layout,
    progress: &mut dyn FnMut(&str),
) -> Result<std::fs::File, PrebuiltError> {
    let path = layout.lock();
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(PrebuiltError::file(&path))?;
    let mut reported = false;
    while file.try_lock().is_err() {
        if !std::mem::replace(&mut reported, true) {
            progress("waiting for another process that builds the library");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(file)
}

fn write_sources(layout: &Layout) -> Result<(), PrebuiltError> {
    let sources = layout.sources();
    archive::unpack(&sources)?;
    archive::write_if_changed(
        &sources.join("Cargo.toml"),
        manifests::workspace_root()?.as_bytes(),
    )?;
    for name in archive::manifests() {
        archive::write_if_changed(&sources.join(name), manifests::member(name)?.as_bytes())?;
    }
    for member in manifests::members() {
        let name = Path::new(member)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        archive::write_if_changed(
            &layout.analysis(&name).join("Cargo.toml"),
            manifests::analysis(member)?.as_bytes(),
        )?;
        let copy = layout.analysis(&name).join("src");
        copy_sources(&sources.join(member).join("src"), &copy)?;
    }
    Ok(())
}

/// Runs cargo on the copied workspace with evcxr's profile and flags, so that sessions can use the
/// compiled crates.
fn compile(
    layout: &Layout,
    target: &Path,
    variant: Variant,
    progress: &mut dyn FnMut(&str),
) -> Result<(), PrebuiltError> {
    let libraries = layout.libraries();
    std::fs::create_dir_all(&libraries).map_err(PrebuiltError::file(&libraries))?;
    let mut process = compile_command(layout, target, variant)?
        .spawn()
        .map_err(|source| PrebuiltError::Toolchain { tool: "cargo".to_owned(), source })?;
    set_compiling(Some(process.id()));
    let messages = process
        .stdout
        .take()
        .map(|stdout| std::thread::spawn(move || io::read_to_string(stdout).unwrap_or_default()));
    let last = process.stderr.take().map_or_else(Vec::new, |stderr| follow(stderr, progress));
    // After `wait`, the process id may be reused.
    set_compiling(None);
    let status = process
        .wait()
        .map_err(|source| PrebuiltError::Toolchain { tool: "cargo".to_owned(), source })?;
    if !status.success() {
        return Err(PrebuiltError::Build { message: last.join("\n") });
    }
    let messages = messages.and_then(|thread| thread.join().ok()).unwrap_or_default();
    artifacts::collect(&artifacts::parse(&messages), layout)
}

/// The cargo command that compiles the facade.
fn compile_command(
    layout: &Layout,
    target: &Path,
    variant: Variant,
) -> Result<Command, PrebuiltError> {
    let mut command = cargo(&layout.sources())?;
    command
        .args([
            "rustc",
            "--package",
            FACADE,
            "--lib",
            "--crate-type",
            "dylib",
            "--target",
            TARGET,
            "--features",
            variant.features(),
        ])
        .args(["--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target);
    command.arg("--").arg(format!("--emit=metadata={}", layout.metadata().display()));
    command.env("RUSTFLAGS", manifests::RUSTFLAGS).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    process::end_with_starter(&mut command);
    Ok(command)
}

/// Reports the progress of cargo and returns the last lines that it writes.
fn follow(stderr: impl io::Read, progress: &mut dyn FnMut(&str)) -> Vec<String> {
    let mut last = Vec::new();
    let mut compiled = 0;
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        report(&line, &mut compiled, progress);
        last.push(line);
        if last.len() > ERROR_LINES {
            last.remove(0);
        }
    }
    last
}

fn set_compiling(cargo: Option<u32>) {
    *COMPILING.lock().unwrap_or_else(PoisonError::into_inner) = cargo;
}

/// Reports a line of cargo, with the number of compiled crates.
fn report(line: &str, compiled: &mut usize, progress: &mut dyn FnMut(&str)) {
    let line = line.trim();
    if line.starts_with("Compiling ") {
        *compiled += 1;
        progress(&format!("{} ({compiled})", line.split(" (").next().unwrap_or(line)));
    } else if line.starts_with("Downloading ")
        || line.starts_with("Downloaded ")
        || line.starts_with("Updating ")
        || line.starts_with("Blocking ")
    {
        progress(line);
    }
}

/// Copies libstd next to the facade, so that the child needs no toolchain.
fn collect_std(layout: &Layout) -> Result<(), PrebuiltError> {
    let std = toolchain::shared_std()?;
    let name = std.file_name().map(Path::new).unwrap_or(Path::new("libstd.so"));
    copy_atomically(&std, &layout.libraries().join(name))
}

/// Writes empty archives for the linker of cells.
fn write_native(layout: &Layout, variant: Variant) -> Result<(), PrebuiltError> {
    for name in variant.native() {
        archive::write_if_changed(&layout.native().join(format!("lib{name}.a")), b"!<arch>\n")?;
    }
    Ok(())
}

/// Copies to a temporary file and renames it, so that a running child keeps the old file.
pub(super) fn copy_atomically(from: &Path, to: &Path) -> Result<(), PrebuiltError> {
    let temporary = to.with_extension("new");
    std::fs::copy(from, &temporary).map_err(PrebuiltError::file(from))?;
    std::fs::rename(&temporary, to).map_err(PrebuiltError::file(to))
}

/// Writes the skeleton of a session's folder. cargo derives its lock files from that of the
/// workspace: with the crates that a `:dep` may add.
fn prepare_sessions(layout: &Layout) -> Result<(), PrebuiltError> {
    let skeleton = layout.skeleton();
    let facade = Path::new("../../analysis").join(FACADE);
    let keep = skeleton.join("keep/Cargo.toml");
    let write = |path: &Path, text: &str| archive::write_if_changed(path, text.as_bytes());
    write(&skeleton.join("Cargo.toml"), &manifests::session_root())?;
    write(&skeleton.join("keep/src/lib.rs"), "//! Keeps the lock file complete.\n")?;
    write(&skeleton.join("cell/Cargo.toml"), manifests::session_cell())?;
    write(&skeleton.join("cell/src/lib.rs"), "")?;
    copy_atomically(&layout.sources().join("Cargo.lock"), &skeleton.join("Cargo.lock"))?;
    write(&keep, &manifests::session_keep(&facade)?)?;
    metadata(&skeleton).map(drop)
}

/// Writes the sources and manifests of external crates for rust-analyzer.
fn write_external(layout: &Layout) -> Result<(), PrebuiltError> {
    for external in manifests::external(&metadata(&layout.sources())?, layout)? {
        copy_sources(&external.sources, &external.copy)?;
        archive::write_if_changed(
            &layout.analysis(&external.name).join("Cargo.toml"),
            external.manifest.as_bytes(),
        )?;
    }
    Ok(())
}

/// Copies the Rust files of a folder.
fn copy_sources(from: &Path, to: &Path) -> Result<(), PrebuiltError> {
    for entry in std::fs::read_dir(from).map_err(PrebuiltError::file(from))?.flatten() {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_sources(&path, &copy)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let content = std::fs::read(&path).map_err(PrebuiltError::file(&path))?;
            archive::write_if_changed(&copy, &content)?;
        }
    }
    Ok(())
}

/// The output of `cargo metadata` for a folder. It also completes the lock file of the folder.
fn metadata(folder: &Path) -> Result<Vec<u8>, PrebuiltError> {
    let output = cargo(folder)?
        .args(["metadata", "--format-version", "1", "--filter-platform", TARGET])
        .env("RUSTFLAGS", format!("--cfg {}", manifests::ANALYSIS))
        .output()
        .map_err(|source| PrebuiltError::Toolchain { tool: "cargo".to_owned(), source })?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(PrebuiltError::Build { message: String::from_utf8_lossy(&output.stderr).into_owned() })
    }
}

/// A command of cargo in a folder, without variables of the caller's environment that would change
/// the result.
fn cargo(folder: &Path) -> Result<Command, PrebuiltError> {
    let mut command = toolchain::tools()?.cargo(folder);
    command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    for variable in [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_BUILD_DIR",
    ] {
        command.env_remove(variable);
    }
    // If cargo has started this program, it has set these variables for the package of this
    // program.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name.to_string_lossy().starts_with("CARGO_MANIFEST")
        {
            command.env_remove(name);
        }
    }
    Ok(command)
}
