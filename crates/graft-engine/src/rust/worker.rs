//! What happens on the Rust thread.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use evcxr::{CommandContext, EvalContext};
use graft_protocol::message::{CELL_FORMAT, CELL_TYPES};

use super::super::compile_progress::Progress;
use super::super::errors::Compiled;
use super::super::stderr_filter::CargoOutputFilter;
use super::super::{
    EngineEvent, RustCompletion, RustError, RustInspection, RustOutput, colon_commands, errors,
};
use super::Context;
use crate::{relay, unix};
use graft_prebuilt::{FACADE, toolchain};

/// Longest wait for the child before evcxr is attached to it.
const CHILD_START: Duration = Duration::from_secs(10);

/// A line that makes rust-analyzer infer a tensor's type, which it does slowly the first time.
const WARM_UP: &str = "let warm = lab(); let tensor = graft::candle::Tensor::zeros(2, graft::candle::DType::F32, &graft::candle::Device::Cpu); warm.";

/// The least that needs a `?`.
const QUESTION_MARK: &str = "Ok::<(), std::fmt::Error>(())?;";

/// Sources of cells that are kept: a closure may panic long after the cell that stored it.
const MOST_SOURCES: usize = 64;

/// Answer to `:restart`.
const RESTARTED: &str = "the Rust variables are gone; items, model, adapters and data are kept\n";

/// evcxr and what it has been told.
pub(super) struct Worker {
    context: Context,
    evcxr: Option<CommandContext>,
    /// The child that evcxr's variables lie in.
    generation: u64,
    warmed: bool,
    /// Whether evcxr knows that cells use `?`.
    question_mark: bool,
    /// The last cells that ran, with what was compiled.
    earlier: VecDeque<Compiled>,
}

impl Worker {
    /// Without evcxr yet.
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            evcxr: None,
            generation: 0,
            warmed: false,
            question_mark: false,
            earlier: VecDeque::new(),
        }
    }

    /// Whether evcxr is there.
    pub(super) fn is_ready(&self) -> bool {
        self.evcxr.is_some()
    }

    /// Runs a cell or a `:command`.
    pub(super) fn run(&mut self, code: &str) -> Result<RustOutput, RustError> {
        if let Some(refusal) =
            colon_commands::of(code).find_map(|command| colon_commands::refusal(&command))
        {
            return Err(refusal);
        }
        let (code, present) = colon_commands::without_present(code);
        if let Some(text) = present {
            return Ok(RustOutput::text(text));
        }
        let code = code.as_ref();
        self.attach()?;
        if code.trim() == ":restart" {
            self.forget_variables();
            self.publish_variables();
            return Ok(RustOutput::text(RESTARTED));
        }
        let lost = self.follow_child();
        self.context.supervisor.cell().reset();
        let progress = Progress::start(&self.context.shared, &self.context.folder.progress());
        let quiet = CargoOutputFilter::begin();
        self.allow_question_mark(code);
        let result = self.execute(code);
        drop((progress, quiet));
        let result = self.finish(code, result).map_err(|error| remind(error, &lost));
        self.keep_source(code, &result);
        self.after_commands(code, result.as_ref().ok())?;
        if result
            .as_ref()
            .is_err_and(|error| matches!(error.ename.as_str(), "SessionDied" | "Interrupted"))
        {
            // evcxr has attached itself to the next child by now.
            self.context.supervisor.wait_ready(CHILD_START);
            self.generation = self.context.supervisor.generation();
        }
        self.publish_variables();
        result
    }

    /// The cell with the source that was compiled last.
    fn compiled(&self, code: &str) -> Compiled {
        // Without the source there is no line to point at.
        Compiled {
            code: code.to_owned(),
            generated: std::fs::read_to_string(self.context.folder.generated()).unwrap_or_default(),
        }
    }

    /// Keeps the source of a cell that ran.
    fn keep_source(&mut self, code: &str, result: &Result<RustOutput, RustError>) {
        let failed_early = |error: &RustError| !matches!(error.ename.as_str(), "Panic" | "Error");
        if !result.as_ref().is_err_and(failed_early) {
            self.earlier.push_back(self.compiled(code));
            if self.earlier.len() > MOST_SOURCES {
                self.earlier.pop_front();
            }
        }
    }

    /// evcxr finds out that a cell uses `?` from a compilation that fails, and gives up the value's own display in the same step. Where
    /// that would show, a cell of no other use tells it beforehand.
    fn allow_question_mark(&mut self, code: &str) {
        let last = code.rsplit(';').next().unwrap_or_default();
        if !self.question_mark && last.contains('?') && self.execute(QUESTION_MARK).is_ok() {
            self.question_mark = true;
            self.context.supervisor.cell().reset();
        }
    }

    /// If the child has been replaced since the last cell, evcxr forgets its variables; their names.
    fn follow_child(&mut self) -> Vec<String> {
        if !self.context.supervisor.wait_ready(CHILD_START)
            || self.generation == self.context.supervisor.generation()
        {
            return Vec::new();
        }
        self.generation = self.context.supervisor.generation();
        let Some(evcxr) = &mut self.evcxr else { return Vec::new() };
        let lost: Vec<String> =
            evcxr.variables_and_types().map(|(name, _)| name.to_owned()).collect();
        self.forget_variables();
        lost
    }

    /// Makes evcxr take a new relay and forget the variables, but not the items. Its own `:restart` brings the variables back as soon
    /// as it has dropped them, so a cell that finds its relay gone does it.
    fn forget_variables(&mut self) {
        self.context.supervisor.detach_all();
        if let Some(evcxr) = &mut self.evcxr {
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.execute("();")));
        }
    }

    /// Completions at a byte.
    pub(super) fn complete(&mut self, code: &str, byte: usize) -> Vec<RustCompletion> {
        let Some(evcxr) = &mut self.evcxr else { return Vec::new() };
        let found = std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.completions(code, byte)));
        let Ok(Ok(found)) = found else { return Vec::new() };
        let (start, end) = (found.start_offset, found.end_offset);
        found
            .completions
            .into_iter()
            .map(|item| RustCompletion { text: item.code, kind: item.kind.to_owned(), start, end })
            .collect()
    }

    /// Documentation of the name at a byte.
    pub(super) fn inspect(&mut self, code: &str, byte: usize) -> Option<RustInspection> {
        let end = end_of_name(code, byte);
        let evcxr = self.evcxr.as_mut()?;
        let found = std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.hover_at(code, end)));
        let (plain, html) = found.ok()?.ok()?;
        (plain != "No documentation found").then_some(RustInspection { plain, html })
    }

    /// Makes everything ready that a first cell, or a first `let`, would wait for.
    pub(super) fn warm(&mut self) {
        if self.attach().is_err() || std::mem::replace(&mut self.warmed, true) {
            return;
        }
        if let Some(evcxr) = &mut self.evcxr {
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
                evcxr.completions(WARM_UP, WARM_UP.len())
            }));
        }
    }

    /// Whether [`Self::warm`] has something left to do.
    pub(super) fn is_cold(&self) -> bool {
        self.evcxr.is_some() && !self.warmed
    }

    /// Starts evcxr if it is not there, and tells the frontend meanwhile.
    fn attach(&mut self) -> Result<(), RustError> {
        if self.evcxr.is_some() {
            return Ok(());
        }
        let quiet = CargoOutputFilter::begin();
        let result = self.start();
        drop(quiet);
        self.context.shared.send(EngineEvent::Status(String::new()));
        self.evcxr = Some(result?);
        self.generation = self.context.supervisor.generation();
        self.warmed = false;
        self.question_mark = false;
        self.publish_variables();
        Ok(())
    }

    fn start(&self) -> Result<CommandContext, RustError> {
        let tell = |text: &str| self.context.shared.send(EngineEvent::Status(text.to_owned()));
        tell("starting Rust…");
        if !self.context.supervisor.wait_ready(CHILD_START) {
            return Err(errors::plain("SessionDied", "the session's process is not running"));
        }
        let sources = self.check_toolchain()?;
        // evcxr begins with `42`, for which rust-analyzer would read the whole standard library, only to begin anew with the facade.
        set_for_evcxr("RUST_SRC_PATH", Some(self.context.folder.empty_library().as_os_str()));
        let created = self.create();
        set_for_evcxr("RUST_SRC_PATH", Some(sources.as_os_str()));
        let mut evcxr = created?;
        tell("loading the library that cells use…");
        let set_up = evcxr.execute(&self.set_up_code());
        set_up.map_err(|error| self.error(&self.set_up_code(), error))?;
        Ok(evcxr)
    }

    /// A cell must be compiled by the compiler that built the library; where the standard library's sources are.
    fn check_toolchain(&self) -> Result<PathBuf, RustError> {
        let version = toolchain::verbose_version().map_err(|error| {
            errors::plain(
                "RustMissing",
                format!("{error}: Rust cells need a compiler; magics work without\nhint: install Rust from https://rustup.rs, then `graft install`"),
            )
        })?;
        let built = &self.context.prebuilt.info.rustc;
        let have = version.lines().next().unwrap_or_default();
        if built != have {
            return Err(errors::plain(
                "RustChanged",
                format!(
                    "the library that cells use was built by {built}, but the compiler is now {have}\nhint: `graft install` builds it again; then restart the kernel"
                ),
            ));
        }
        let Some(sources) = toolchain::standard_sources() else {
            return Err(errors::plain(
                "RustSourcesMissing",
                format!(
                    "rust-analyzer needs the sources of the standard library\nhint: {}",
                    toolchain::SOURCES_HINT
                ),
            ));
        };
        Ok(sources)
    }

    /// evcxr with a configuration of its own: neither the user's nor the notebook folder's settings change what is built.
    fn create(&self) -> Result<CommandContext, RustError> {
        let folder = &self.context.folder;
        set_for_evcxr("EVCXR_CONFIG_DIR", Some(folder.configuration().as_os_str()));
        set_for_evcxr("EVCXR_TMPDIR", Some(folder.cell().as_os_str()));
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"]
            .into_iter()
            .chain(toolchain::COMPILER_VARIABLES)
        {
            set_for_evcxr(variable, None);
        }
        // evcxr asks rustup in the current folder, where the variable comes before any `rust-toolchain.toml`.
        let name = toolchain::tools().ok().and_then(|tools| tools.name.clone());
        if let Some(name) = &name {
            set_for_evcxr(toolchain::TOOLCHAIN_VARIABLE, Some(name.as_ref()));
        }
        // evcxr reads `evcxr.toml` of the current folder first; there is no other way to keep it from doing so. Nor is there to keep a rustup
        // that is not the one in use from obeying a file there.
        let asks_for_it = |here: &PathBuf| {
            let is_above = |file: &str| here.ancestors().any(|folder| folder.join(file).exists());
            here.join("evcxr.toml").exists()
                || (name.is_none()
                    && (is_above("rust-toolchain.toml") || is_above("rust-toolchain")))
        };
        let here = std::env::current_dir().ok().filter(asks_for_it);
        if here.is_some() {
            let _ = std::env::set_current_dir(folder.configuration());
        }
        let command = relay::command(
            &self.context.executable,
            std::os::fd::AsFd::as_fd(&self.context.relays),
        );
        let created = std::panic::catch_unwind(AssertUnwindSafe(|| {
            EvalContext::with_subprocess_command(command)
        }));
        if let Some(here) = here {
            let _ = std::env::set_current_dir(here);
        }
        let (evcxr, outputs) = match created {
            Ok(Ok(created)) => created,
            Ok(Err(error)) => return Err(self.error("", error)),
            Err(_) => {
                return Err(errors::plain(
                    "EvcxrPanic",
                    "evcxr panicked while it started; the kernel's log has the details",
                ));
            }
        };
        // Nothing arrives here but what the pump does not know; it must be read, since evcxr waits for that at the end of a cell.
        std::thread::spawn(move || outputs.stdout.iter().for_each(drop));
        std::thread::spawn(move || outputs.stderr.iter().for_each(drop));
        Ok(CommandContext::with_eval_context(evcxr))
    }

    /// What makes the facade known: after the start, and again after `:clear`.
    fn set_up_code(&self) -> String {
        let facade = self.context.prebuilt.layout.facade().display().to_string();
        format!(
            ":linker system\n:dep {FACADE} = {{ path = {facade:?} }}\n#[allow(unused_imports)]\nuse {FACADE}::prelude::*;\n"
        )
    }

    fn execute(&mut self, code: &str) -> Result<evcxr::EvalOutputs, RustError> {
        let Some(evcxr) = &mut self.evcxr else {
            return Err(errors::plain("SessionDied", "evcxr is not there"));
        };
        match std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.execute(code))) {
            Ok(Ok(outputs)) => Ok(outputs),
            Ok(Err(error)) => Err(self.error(code, error)),
            Err(_) => {
                self.evcxr = None;
                let message = "evcxr panicked; it starts again with the next cell, without the variables and items of earlier ones. The session is kept";
                Err(errors::plain("EvcxrPanic", message))
            }
        }
    }

    /// What the streams said decides whether a cell that evcxr calls done has failed.
    fn finish(
        &self,
        code: &str,
        result: Result<evcxr::EvalOutputs, RustError>,
    ) -> Result<RustOutput, RustError> {
        let outputs = result?;
        if let Some(done) = self.context.supervisor.drain() {
            // Standard error is read by another thread; its end belongs to the message.
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || drop(sender.send(done.blocking_recv())));
            let _ = receiver.recv_timeout(Duration::from_secs(2));
        }
        let cell = self.context.supervisor.cell();
        if let Some((ename, text)) = cell.unanswered {
            return Err(errors::plain(ename, text));
        }
        if cell.panicked() {
            return Err(errors::panic(&cell.stderr_text(), &self.compiled(code), &self.earlier));
        }
        if let Some(message) = cell.failed() {
            return Err(errors::question_mark(message, &cell.stderr_text()));
        }
        let mut mime = cell.displays();
        let said: BTreeMap<String, String> = outputs.content_by_mime_type.into_iter().collect();
        // What a `:command` says does not come through the child.
        if colon_commands::of(code).next().is_some() && mime.is_empty() && !said.is_empty() {
            mime.push(said);
        }
        Ok(RustOutput { mime })
    }

    /// Some commands change more than evcxr knows of.
    fn after_commands(&mut self, code: &str, output: Option<&RustOutput>) -> Result<(), RustError> {
        for command in colon_commands::of(code) {
            match (command.name, command.argument.split_once('=')) {
                (":clear", _) => self.set_up_again()?,
                (":env", Some((name, value))) if output.is_some() => {
                    self.context.supervisor.set_env(name, Some(value))
                }
                (":fmt", _) if output.is_some() => {
                    let format =
                        if command.argument.is_empty() { None } else { Some(command.argument) };
                    self.context.supervisor.set_env(CELL_FORMAT, format);
                }
                (":types", _) => {
                    let is_on = output
                        .and_then(RustOutput::plain_text)
                        .is_some_and(|text| text.trim_end().ends_with("true"));
                    self.context.supervisor.set_env(CELL_TYPES, is_on.then_some("1"));
                }
                (":opt", _) => self.copy_opt_level(output),
                _ => {}
            }
        }
        Ok(())
    }

    fn set_up_again(&mut self) -> Result<(), RustError> {
        self.question_mark = false;
        let code = self.set_up_code();
        self.execute(&code).map(drop)
    }

    /// evcxr writes the level into the cell's manifest, but cargo takes profiles from the workspace's.
    fn copy_opt_level(&self, output: Option<&RustOutput>) {
        let Some(level) = output
            .and_then(RustOutput::plain_text)
            .and_then(|text| text.trim().strip_prefix("Optimization: "))
            .map(str::to_owned)
        else {
            return;
        };
        let manifest = self.context.folder.manifest();
        let Ok(Ok(mut table)) =
            std::fs::read_to_string(&manifest).map(|text| text.parse::<toml::Table>())
        else {
            return;
        };
        let value = level.parse::<i64>().map_or(toml::Value::String(level), toml::Value::Integer);
        if let Some(profile) = table
            .get_mut("profile")
            .and_then(|profile| profile.get_mut("dev"))
            .and_then(toml::Value::as_table_mut)
        {
            profile.insert("opt-level".to_owned(), value);
            let _ = std::fs::write(&manifest, table.to_string());
        }
    }

    fn publish_variables(&self) {
        if let Some(evcxr) = &self.evcxr {
            let variables = evcxr
                .variables_and_types()
                .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
                .collect();
            self.context.shared.set_variables(variables);
        }
    }

    fn error(&self, code: &str, error: evcxr::Error) -> RustError {
        if self.context.interrupted.load(Ordering::Acquire)
            && !matches!(error, evcxr::Error::SubprocessTerminated(_))
        {
            return errors::plain(
                "Interrupted",
                "interrupted while the cell was compiled; variables and session are kept",
            );
        }
        match error {
            evcxr::Error::CompilationErrors(found) => errors::compile(&self.compiled(code), &found),
            evcxr::Error::SubprocessTerminated(text) => {
                match self.context.supervisor.last_death() {
                    Some(death) => errors::death(&death),
                    None => errors::plain("SessionDied", text),
                }
            }
            evcxr::Error::TypeRedefinedVariablesLost(names) => errors::plain(
                "TypeRedefined",
                format!(
                    "a type was defined again, so variables of the old one are gone: {}",
                    names.join(", ")
                ),
            ),
            evcxr::Error::Message(text) => errors::plain("Error", errors::in_our_words(&text)),
        }
    }
}

/// Sets a variable that evcxr, which runs in this process, or cargo under it reads.
#[allow(unsafe_code)]
fn set_for_evcxr(name: &str, value: Option<&OsStr>) {
    // SAFETY: this process reads its environment through std, whose lock covers this call. Its C code (SQLite, the allocator, the resolver of the
    // C library) reads variables when it opens its first file or connection, which the kernel has done before the first Rust cell.
    unsafe { unix::set_environment(name, value) };
}

/// Adds to an error about a name that the name was a variable of the session before.
fn remind(mut error: RustError, lost: &[String]) -> RustError {
    if error.ename == "CompileError" && !lost.is_empty() {
        error.traceback.push(format!(
            "the session's process was replaced since the last cell; its variables are gone: {}",
            lost.join(", ")
        ));
    }
    error
}

/// evcxr looks at the name that ends where it is told; the cursor may stand inside it.
fn end_of_name(code: &str, byte: usize) -> usize {
    let rest = code.get(byte..).unwrap_or_default();
    let inside = rest
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(rest.len());
    byte.min(code.len()) + inside
}

#[cfg(test)]
mod tests {
    use super::end_of_name;

    #[test]
    fn the_whole_name_under_the_cursor_is_inspected() {
        assert_eq!(end_of_name("tensor.dims()", 3), 6);
        assert_eq!(end_of_name("tensor.dims()", 6), 6);
        assert_eq!(end_of_name("é", 0), 2);
        assert_eq!(end_of_name("x", 9), 1);
    }
}
