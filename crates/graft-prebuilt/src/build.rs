//! Builds the prebuilt library: unpacks the sources, compiles the facade as a shared library, and
//! prepares the skeleton of sessions.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{
    BuildInfo, Dirs, FACADE, Layout, PrebuiltError, PrebuiltLibrary, TARGET, Variant, archive,
    fingerprint, manifests, open, process, reuse, toolchain,
};

/// The version of the folder layout, part of the fingerprint.
pub(super) const LAYOUT_VERSION: &str = "6";

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

/// Builds the prebuilt library for this program and compiler, unless it exists. `progress` receives
/// status lines. The crates of an interrupted build are reused. A second builder blocks until
/// the first has finished.
///
/// # Errors
/// Returns an error if the toolchain is missing, cargo fails, or a file cannot be written.
pub fn build(
    dirs: &Dirs,
    variant: Variant,
    progress: &mut dyn FnMut(&str),
) -> Result<PrebuiltLibrary, PrebuiltError> {
    let fingerprint = fingerprint(variant)?;
    if let Some(ready) = super::find_variant(dirs, variant) {
        return Ok(ready);
    }
    dirs.claim().map_err(PrebuiltError::file(dirs.cache()))?;
    let layout = Layout::new(dirs.prebuilt_folder(&fingerprint));
    std::fs::create_dir_all(layout.root()).map_err(PrebuiltError::file(layout.root()))?;
    let _lock = wait_for_lock(&layout, progress)?;
    if let Some(ready) = open(layout.root()) {
        return Ok(ready);
    }
    if !layout.target().exists()
        && let Some(other) = dirs.reusable().find(|folder| folder.join("target").is_dir())
    {
        // Without them everything is compiled. Sources that are equal and no newer spare Graft's
        // own crates too.
        let _ = reuse::copy(&other.join("target"), &layout.target());
        let _ = reuse::copy(&other.join(fingerprint.short()).join("sources"), &layout.sources());
    }
    progress("unpacking sources");
    write_sources(&layout)?;
    compile(&layout, variant, progress)?;
    collect_libraries(&layout)?;
    write_native(&layout, variant)?;
    progress("preparing sessions");
    write_foreign(&layout)?;
    prepare_sessions(&layout)?;
    let rustc = toolchain::verbose_version()?.lines().next().unwrap_or_default().to_owned();
    BuildInfo { fingerprint, sources: archive::HASH.to_owned(), rustc }
        .write(&layout.build_info())?;
    open(layout.root())
        .ok_or_else(|| PrebuiltError::Build { message: "the build produced no library".to_owned() })
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
            manifests::analysis(layout, member)?.as_bytes(),
        )?;
    }
    Ok(())
}

/// Runs cargo on the copied workspace with evcxr's profile and flags, so that sessions can use the
/// compiled crates.
fn compile(
    layout: &Layout,
    variant: Variant,
    progress: &mut dyn FnMut(&str),
) -> Result<(), PrebuiltError> {
    let libraries = layout.libraries();
    std::fs::create_dir_all(&libraries).map_err(PrebuiltError::file(&libraries))?;
    let mut process = compile_command(layout, variant)?
        .spawn()
        .map_err(|source| PrebuiltError::Toolchain { tool: "cargo".to_owned(), source })?;
    set_compiling(Some(process.id()));
    let artifacts = process
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
    let artifacts = artifacts.and_then(|thread| thread.join().ok()).unwrap_or_default();
    archive::write_if_changed(&layout.crates(), crates(&artifacts, &layout.compiled()).as_bytes())
}

/// The cargo command that compiles the facade.
fn compile_command(layout: &Layout, variant: Variant) -> Result<Command, PrebuiltError> {
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
        .arg(layout.target());
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

/// A line `name=file` for each crate that cells can use without a `:dep`, from cargo's messages
/// about compiled crates.
fn crates(artifacts: &str, compiled: &Path) -> String {
    let names = manifests::SHOWN.map(|name| name.replace('-', "_"));
    let mut lines = String::new();
    for message in artifacts.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
    {
        let file = message.filenames.iter().map(Path::new).find(|file| {
            file.parent() == Some(compiled) && file.extension().is_some_and(|end| end == "rlib")
        });
        if let Some(file) = file.filter(|_| names.contains(&message.target.name)) {
            lines.push_str(&format!("{}={}\n", message.target.name, file.display()));
        }
    }
    lines
}

/// cargo's message about a compiled crate.
#[derive(serde::Deserialize)]
struct Artifact {
    target: ArtifactTarget,
    filenames: Vec<String>,
}

/// The target of the crate.
#[derive(serde::Deserialize)]
struct ArtifactTarget {
    name: String,
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

/// Copies the facade and libstd into one folder, so that the child needs no toolchain.
fn collect_libraries(layout: &Layout) -> Result<(), PrebuiltError> {
    copy_atomically(&layout.compiled().join("libgraft.so"), &layout.library())?;
    collect_members(layout)?;
    let std = toolchain::shared_std()?;
    let name = std.file_name().map(Path::new).unwrap_or(Path::new("libstd.so"));
    copy_atomically(&std, &layout.libraries().join(name))
}

/// Copies the compiled members of the workspace, which the next build would overwrite.
fn collect_members(layout: &Layout) -> Result<(), PrebuiltError> {
    let (from, to) = (layout.compiled(), layout.members());
    std::fs::create_dir_all(&to).map_err(PrebuiltError::file(&to))?;
    for entry in std::fs::read_dir(&from).map_err(PrebuiltError::file(&from))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_compiled =
            name.starts_with("libgraft_") && (name.ends_with(".rmeta") || name.ends_with(".rlib"));
        if is_compiled || (name.starts_with("graft_") && name.ends_with(".d")) {
            copy_atomically(&entry.path(), &to.join(name))?;
        }
    }
    Ok(())
}

/// Writes empty archives for the linker of cells.
fn write_native(layout: &Layout, variant: Variant) -> Result<(), PrebuiltError> {
    for name in variant.native() {
        archive::write_if_changed(&layout.native().join(format!("lib{name}.a")), b"!<arch>\n")?;
    }
    Ok(())
}

/// Copies to a temporary file and renames it, so that a running child keeps the old file.
fn copy_atomically(from: &Path, to: &Path) -> Result<(), PrebuiltError> {
    let temporary = to.with_extension("new");
    std::fs::copy(from, &temporary).map_err(PrebuiltError::file(from))?;
    std::fs::rename(&temporary, to).map_err(PrebuiltError::file(to))
}

/// Writes the skeleton of a session's folder. cargo derives its lock file from that of the
/// workspace.
fn prepare_sessions(layout: &Layout) -> Result<(), PrebuiltError> {
    let skeleton = layout.skeleton();
    archive::write_if_changed(&skeleton.join("Cargo.toml"), manifests::session_root().as_bytes())?;
    archive::write_if_changed(
        &skeleton.join("keep/Cargo.toml"),
        manifests::session_keep(layout)?.as_bytes(),
    )?;
    archive::write_if_changed(
        &skeleton.join("keep/src/lib.rs"),
        b"//! Keeps the lock file complete.\n",
    )?;
    archive::write_if_changed(
        &skeleton.join("cell/Cargo.toml"),
        manifests::session_cell().as_bytes(),
    )?;
    archive::write_if_changed(&skeleton.join("cell/src/lib.rs"), b"")?;
    let lock = layout.sources().join("Cargo.lock");
    std::fs::copy(&lock, skeleton.join("Cargo.lock")).map_err(PrebuiltError::file(&lock))?;
    metadata(&skeleton).map(drop)
}

/// Writes the manifests of external crates for rust-analyzer.
fn write_foreign(layout: &Layout) -> Result<(), PrebuiltError> {
    for (name, manifest) in manifests::foreign(&metadata(&layout.sources())?, layout)? {
        archive::write_if_changed(&layout.analysis(&name).join("Cargo.toml"), manifest.as_bytes())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listed_crate_files_are_those_compiled_for_the_target() {
        let message = |name: &str, files: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"target\":{{\"name\":\"{name}\"}},\"filenames\":[{files}]}}\n"
            )
        };
        let artifacts = message(
            "candle_core",
            "\"/t/deps/libcandle_core-1.rlib\",\"/t/deps/libcandle_core-1.rmeta\"",
        ) + &message("serde_json", "\"/host/deps/libserde_json-2.rlib\"")
            + &message("rand", "\"/t/deps/librand-3.rlib\"")
            + "{\"reason\":\"build-finished\",\"success\":true}\nno json\n"
            + &message("serde_json", "\"/t/deps/libserde_json-4.rlib\"");
        assert_eq!(
            crates(&artifacts, Path::new("/t/deps")),
            "candle_core=/t/deps/libcandle_core-1.rlib\nserde_json=/t/deps/libserde_json-4.rlib\n"
        );
    }
}
