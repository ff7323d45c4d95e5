//! The rustc wrapper of sessions: links cells with the library that the child has open, and reuses
//! compiled crates.
//!
//! To cargo the facade is a crate without dependencies; they exist only under a `cfg` for
//! rust-analyzer. So no `:dep` of the user can change the features of a crate in the facade, and
//! cargo never rebuilds it. When cargo compiles the facade, the wrapper creates empty output files.
//! When cargo compiles a cell, the wrapper points its `--extern graft` to the prebuilt library. A
//! crate that the prebuilt library contains with the same file name, which includes cargo's hash of
//! version, features, profile and flags, is copied instead of compiled, so that its types are those
//! of the facade.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiled_crate;
use crate::layout::{FACADE, Layout};

mod question_mark;
mod recorded;
mod signals;

use question_mark::Cell;
pub use recorded::RecordedCell;

/// The name of the link by which sessions start this program as cargo's rustc wrapper.
pub const WRAPPER: &str = "graft-rustc";
/// The variable with the folder of the prebuilt library, set in the session's cargo configuration.
pub(crate) const PREBUILT_VARIABLE: &str = "GRAFT_TEMPLATE";
/// The variable with the file that receives the names of crates that are being compiled.
pub(crate) const PROGRESS_VARIABLE: &str = "GRAFT_PROGRESS";
/// The variable with the file that receives the compiler's arguments for the last cell.
pub(crate) const RECORD_VARIABLE: &str = "GRAFT_CELL_ARGUMENTS";
/// The variable that is set while evcxr starts. It then compiles a self test and the cell that
/// imports the prelude, neither of which has an effect.
pub const START_VARIABLE: &str = "GRAFT_STARTING";
/// The name of evcxr's crate for a cell.
const CELL: &str = "ctx";
/// The `metadata` argument of all cells. cargo's own value changes with each `:dep`, which would
/// change the identity of the types that cells have defined, and evcxr would drop the variables of
/// these types.
const CELL_METADATA: &str = "metadata=graft-cell";

/// Whether this process was started as the wrapper; `program` is the first argument of the process.
pub fn is_wrapper(program: Option<&std::ffi::OsString>) -> bool {
    program
        .and_then(|program| Path::new(program).file_name())
        .is_some_and(|name| name == OsStr::new(WRAPPER))
}

/// Runs the wrapper; `arguments` are the path and the arguments of rustc. Returns the exit status
/// if rustc is not needed or cannot be run; otherwise rustc replaces this process.
pub fn run(arguments: &[String]) -> i32 {
    let Some((rustc, arguments)) = arguments.split_first() else {
        eprintln!("{WRAPPER} must be called by cargo with rustc and its arguments");
        return 1;
    };
    let mut rewritten = None;
    let mut cell = None;
    if let Some(folder) = std::env::var_os(PREBUILT_VARIABLE) {
        let layout = Layout::new(PathBuf::from(folder));
        let call = Call::read(arguments);
        match act(&call, &layout, arguments) {
            Ok(Action::Skip(changed)) => {
                record(rustc, &changed);
                return 0;
            }
            Ok(Action::Done) => return 0,
            Ok(Action::Compile(changed)) => rewritten = changed,
            Err(error) => eprintln!("{WRAPPER}: {error}"),
        }
        if call.crate_name == CELL {
            if let Err(error) = replace_signals(&call, arguments) {
                eprintln!("{WRAPPER}: {}: {error}", call.source);
                return 1;
            }
            cell = Cell::read(Path::new(&call.source));
        }
    }
    let is_cell = rewritten.is_some();
    let arguments = rewritten.as_deref().unwrap_or(arguments);
    if is_cell && Call::read(arguments).links() {
        record(rustc, arguments);
    }
    // If this fails, `?` shows the message without its sources; rustc reports problems of the file.
    if cell.is_some_and(|cell| cell.compile_strictly(rustc, arguments).unwrap_or(false)) {
        return 0;
    }
    let error = Command::new(rustc).args(arguments).exec();
    eprintln!("cannot run {rustc}: {error}");
    1
}

/// The action for a call of rustc.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    /// Nothing: the output files exist.
    Done,
    /// Nothing: the output files are placeholders. These arguments would have compiled the cell.
    Skip(Vec<String>),
    /// Compile, with these arguments instead of the original ones.
    Compile(Option<Vec<String>>),
}

/// The relevant arguments of rustc.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    crate_name: String,
    crate_type: String,
    out_dir: PathBuf,
    extra: String,
    emit: String,
    source: String,
}

impl Call {
    fn read(arguments: &[String]) -> Self {
        let mut call = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--crate-name" => call.crate_name = rest.next().cloned().unwrap_or_default(),
                "--crate-type" => call.crate_type = rest.next().cloned().unwrap_or_default(),
                "--out-dir" => call.out_dir = rest.next().map(PathBuf::from).unwrap_or_default(),
                "-C" => {
                    call.extra = rest
                        .next()
                        .and_then(|option| option.strip_prefix("extra-filename="))
                        .map_or(call.extra, str::to_owned)
                }
                other => {
                    if let Some(emit) = other.strip_prefix("--emit=") {
                        emit.clone_into(&mut call.emit);
                    } else if Path::new(other)
                        .extension()
                        .is_some_and(|extension| extension == "rs")
                    {
                        other.clone_into(&mut call.source);
                    }
                }
            }
        }
        call
    }

    /// The names of the output files that cargo expects: rmeta, rlib or a shared library.
    fn outputs(&self) -> Vec<String> {
        let stem = format!("lib{}{}", self.crate_name, self.extra);
        let links = self.links();
        let metadata = self.emit.split(',').any(|kind| kind == "metadata");
        let mut files = Vec::new();
        if metadata {
            files.push(format!("{stem}.rmeta"));
        }
        match self.crate_type.as_str() {
            "lib" | "rlib" if links => files.push(format!("{stem}.rlib")),
            "proc-macro" | "dylib" | "cdylib" if links => files.push(format!("{stem}.so")),
            _ => {}
        }
        files
    }

    /// Whether the call produces code, in contrast to `cargo check`.
    fn links(&self) -> bool {
        self.emit.split(',').any(|kind| kind == "link")
    }

    fn dep_info(&self) -> String {
        format!("{}{}.d", self.crate_name, self.extra)
    }
}

fn act(call: &Call, layout: &Layout, arguments: &[String]) -> std::io::Result<Action> {
    if call.crate_name == FACADE && Path::new(&call.source).starts_with(layout.root()) {
        put_placeholders(call)?;
        return Ok(Action::Done);
    }
    if call.crate_name == CELL {
        let arguments = compile_cell(arguments, layout);
        if call.links() && std::env::var_os(START_VARIABLE).is_some() {
            put_placeholders(call)?;
            return Ok(Action::Skip(arguments));
        }
        return Ok(Action::Compile(Some(arguments)));
    }
    if matches!(call.crate_type.as_str(), "lib" | "rlib" | "proc-macro")
        && copy_from_prebuilt(call, layout)?
    {
        return Ok(Action::Done);
    }
    report_progress(call);
    Ok(Action::Compile(None))
}

/// Replaces the reporting code of a cell by calls into the facade. evcxr's first cell, compiled
/// before it depends on the facade, is unchanged.
fn replace_signals(call: &Call, arguments: &[String]) -> std::io::Result<()> {
    let has_facade = arguments
        .iter()
        .any(|argument| argument.strip_prefix(FACADE).is_some_and(|rest| rest.starts_with('=')));
    if !has_facade {
        return Ok(());
    }
    let source = std::fs::read_to_string(&call.source)?;
    let changed = signals::with_calls(&source);
    if changed == source { Ok(()) } else { std::fs::write(&call.source, changed) }
}

/// Creates empty output files of the facade or of a cell that does nothing. They are never read.
fn put_placeholders(call: &Call) -> std::io::Result<()> {
    let outputs = call.outputs();
    for file in &outputs {
        std::fs::write(call.out_dir.join(file), b"")?;
    }
    write_dep_info(call, &outputs)
}

/// Points `--extern graft=...` to the prebuilt library, adds the folders of the crates inside it
/// and the crates that cells can use without a `:dep`, and sets a constant `metadata` argument.
fn compile_cell(arguments: &[String], layout: &Layout) -> Vec<String> {
    let mut changed = Vec::with_capacity(arguments.len() + 24);
    let mut named = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument.starts_with("metadata=") {
            changed.push(CELL_METADATA.to_owned());
            continue;
        }
        changed.push(argument.clone());
        if argument != "--extern" {
            continue;
        }
        let Some(given) = rest.next() else { break };
        named
            .extend(given.split_once('=').map(|(name, _)| name.rsplit(':').next().unwrap_or(name)));
        if given.split_once('=').is_some_and(|(name, _)| name == FACADE) {
            changed.push(format!("{FACADE}={}", layout.library().display()));
            let metadata = layout.metadata();
            if metadata.exists() {
                // rustc maps this file into memory; the metadata inside the library would have to
                // be decompressed for each cell.
                changed.push("--extern".to_owned());
                changed.push(format!("{FACADE}={}", metadata.display()));
            }
        } else {
            changed.push(given.clone());
        }
    }
    // A crate that the user has added replaces the facade's copy.
    let crates = std::fs::read_to_string(layout.crates()).unwrap_or_default();
    for line in crates
        .lines()
        .filter(|line| line.split_once('=').is_some_and(|(name, _)| !named.contains(&name)))
    {
        let Some((name, file)) = line.split_once('=') else { continue };
        let file = layout.dependencies().join(file);
        changed.extend(["--extern".to_owned(), format!("{name}={}", file.display())]);
    }
    changed.extend(search_paths(layout));
    changed
}

/// The arguments with the folders of libraries.
fn search_paths(layout: &Layout) -> Vec<String> {
    let mut changed = Vec::new();
    for folder in layout.dependency_folders() {
        changed.push("-L".to_owned());
        changed.push(format!("dependency={}", folder.display()));
    }
    changed.extend(["-L".to_owned(), format!("native={}", layout.native().display())]);
    // A user's crate may be a shared library.
    changed.push("-Crpath".to_owned());
    changed
}

/// Writes the output files of a crate if the prebuilt library has it. The files get a new
/// modification time, which cargo requires.
fn copy_from_prebuilt(call: &Call, layout: &Layout) -> std::io::Result<bool> {
    let outputs = call.outputs();
    if call.extra.is_empty() || outputs.is_empty() {
        return Ok(false);
    }
    let stem = format!("lib{}{}", call.crate_name, call.extra);
    if call.crate_type == "proc-macro" {
        let file = layout.macros().join(format!("{stem}.so"));
        // Metadata of a procedural macro alone is for `cargo check`, which sessions do not use.
        if !file.exists() || outputs.len() > 1 {
            return Ok(false);
        }
        replace(&call.out_dir.join(&outputs[0]), &std::fs::read(file)?)?;
    } else {
        let Ok(rlib) = std::fs::read(layout.dependencies().join(format!("{stem}.rlib"))) else {
            return Ok(false);
        };
        let Some(metadata) = compiled_crate::metadata(&rlib) else { return Ok(false) };
        for file in &outputs {
            let content = if file.ends_with(".rmeta") { metadata } else { &rlib };
            replace(&call.out_dir.join(file), content)?;
        }
    }
    write_dep_info(call, &outputs)?;
    Ok(true)
}

/// Writes a file; one that another process reads keeps its content.
fn replace(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let _ = std::fs::remove_file(file);
    std::fs::write(file, content)
}

/// Writes the list of sources that cargo expects, with the root of the crate only.
fn write_dep_info(call: &Call, outputs: &[String]) -> std::io::Result<()> {
    let first = outputs.first().map(String::as_str).unwrap_or(FACADE);
    std::fs::write(
        call.out_dir.join(call.dep_info()),
        format!("{}: {}\n", call.out_dir.join(first).display(), call.source),
    )
}

/// Records the call for the host. Without the file, only variables with a type annotation are kept
/// for later cells.
fn record(rustc: &str, arguments: &[String]) {
    let Some(file) = std::env::var_os(RECORD_VARIABLE) else { return };
    let recorded = RecordedCell::of_this_process(rustc, arguments).write(Path::new(&file));
    if let Err(error) = recorded {
        eprintln!("{WRAPPER}: {}: {error}", Path::new(&file).display());
    }
}

/// Appends the name of the crate to the session's progress file. Errors are ignored.
fn report_progress(call: &Call) {
    let Some(file) = std::env::var_os(PROGRESS_VARIABLE)
        .filter(|_| !call.source.is_empty() && call.crate_name != "build_script_build")
    else {
        return;
    };
    if let Ok(mut file) = std::fs::OpenOptions::new().append(true).open(file) {
        let _ = file.write_all(format!("{}\n", call.crate_name).as_bytes());
    }
}

#[cfg(test)]
mod tests;
