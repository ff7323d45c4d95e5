//! The evcxr worker: runs cells and `:commands`, answers completion and inspection.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use evcxr::CommandContext;

use super::WorkerContext;
use crate::analyzer::Analyzer;
use crate::compile_progress::CompileProgress;
use crate::errors::{self, Compiled};
use crate::rust_error::RustError;
use crate::rust_result::RustOutput;
use crate::stderr_filter::CargoOutputFilter;
use crate::typed_cell::{TypedCell, short_type};
use crate::{colon_commands, panic_report};

/// Longest wait for the child before evcxr is attached to it.
pub(super) const CHILD_START_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the output that a cell printed before it ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The shortest cell that needs `?`.
const QUESTION_MARK: &str = "Ok::<(), std::fmt::Error>(())?;";

/// Number of earlier cells whose sources are stored: a closure may panic long after the cell that
/// defined it.
const MAX_SOURCES: usize = 64;

/// The message of an interrupted compilation.
pub(super) const INTERRUPTED: &str =
    "interrupted while the cell was compiled; variables and session are kept";

/// The answer to `:restart`.
const RESTARTED: &str = "the Rust variables are gone; items, model, adapters and data are kept\n";

/// evcxr with the state of the session that it belongs to.
pub(super) struct Worker {
    pub(super) context: WorkerContext,
    pub(super) evcxr: Option<CommandContext>,
    /// The number of the child that holds evcxr's variables.
    pub(super) generation: u64,
    /// rust-analyzer for completion and inspection.
    pub(super) analyzer: Analyzer,
    /// Whether evcxr has been set up for cells that use `?`.
    pub(super) question_mark: bool,
    /// The last cells that ran, with their generated sources.
    earlier: VecDeque<Arc<Compiled>>,
}

impl Worker {
    /// A worker without evcxr, which starts with the first cell.
    pub(super) fn new(context: WorkerContext) -> Self {
        let analyzer = Analyzer::new(&context.executable, context.folder.analysis());
        Self {
            context,
            evcxr: None,
            analyzer,
            generation: 0,
            question_mark: false,
            earlier: VecDeque::new(),
        }
    }

    /// Whether evcxr has started.
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
        if let Some(name) = code.trim().strip_prefix(":doc ") {
            return self.documentation(name.trim());
        }
        let lost = self.follow_child();
        let result = self.run_cell(code).map_err(|error| note_lost_variables(error, &lost));
        self.after_commands(code, result.as_ref().ok())?;
        if result
            .as_ref()
            .is_err_and(|error| matches!(error.ename.as_str(), "SessionDied" | "Interrupted"))
        {
            // evcxr has attached itself to the next child already.
            self.context.supervisor.wait_ready(CHILD_START_TIMEOUT);
            self.generation = self.context.supervisor.generation();
        }
        self.publish_variables();
        result
    }

    /// Whether the user has interrupted the current cell.
    pub(super) fn is_interrupted(&self) -> bool {
        self.context.interrupted.load(Ordering::Acquire)
    }

    fn run_cell(&mut self, code: &str) -> Result<RustOutput, RustError> {
        self.context.supervisor.cell().reset();
        let progress =
            CompileProgress::start(&self.context.shared, &self.context.folder.progress());
        let filter = CargoOutputFilter::begin();
        self.allow_crates(code)?;
        self.allow_question_mark(code);
        let cell = self.with_types(code)?;
        self.locate_panics(&cell);
        let result = self.execute(&cell);
        drop((progress, filter));
        let result = self.finish(&cell, result);
        self.remember_source(&cell, &result);
        result
    }

    /// Maps panics of the cell's threads to lines of the cell. The thread may outlive the cell.
    fn locate_panics(&self, cell: &TypedCell) {
        let cell = cell.clone();
        let source = self.context.folder.generated();
        let earlier = self.earlier.clone();
        self.context.supervisor.set_panic_locator(Arc::new(move |text| {
            let generated = std::fs::read_to_string(&source).unwrap_or_default();
            let cell = Compiled { cell: cell.clone(), generated };
            panic_report::replace_locations(text, |file, line, column| {
                errors::describe_panic(file, line, column, &cell, &earlier)
            })
        }));
    }

    /// The cell with the source that was compiled last.
    fn compiled(&self, cell: &TypedCell) -> Compiled {
        // Without the source, errors are shown without their lines.
        Compiled {
            cell: cell.clone(),
            generated: std::fs::read_to_string(self.context.folder.generated()).unwrap_or_default(),
        }
    }

    /// Stores the source of a cell that ran, also of one that ended with an error.
    fn remember_source(&mut self, cell: &TypedCell, result: &Result<RustOutput, RustError>) {
        let did_not_run = |error: &RustError| !matches!(error.ename.as_str(), "Panic" | "Error");
        if !result.as_ref().is_err_and(did_not_run) {
            self.earlier.push_back(Arc::new(self.compiled(cell)));
            if self.earlier.len() > MAX_SOURCES {
                self.earlier.pop_front();
            }
        }
    }

    /// Prepares the session for the crates of a cell. evcxr adds crates for `:dep` and `extern
    /// crate`, and `tokio` for `.await`.
    fn allow_crates(&self, code: &str) -> Result<(), RustError> {
        let has_command = colon_commands::of(code).next().is_some();
        if !has_command && !code.contains("extern crate") && !code.contains(".await") {
            return Ok(());
        }
        let folder = &self.context.folder;
        folder.allow_crates(&self.context.prebuilt.layout).map_err(|error| {
            let place = folder.root().display();
            errors::plain("Error", format!("cannot write to the session's folder `{place}`: {error}\nhint: free disk space, then run the cell again"))
        })
    }

    /// Runs a small cell with `?` before the first cell whose last expression contains one. evcxr
    /// detects `?` by a compilation that fails, and in that step it would drop the display of the
    /// cell's value.
    fn allow_question_mark(&mut self, code: &str) {
        let last = code.rsplit(';').next().unwrap_or_default();
        if !self.question_mark
            && last.contains('?')
            && self.execute(&TypedCell::unchanged(QUESTION_MARK)).is_ok()
        {
            self.question_mark = true;
            self.context.supervisor.cell().reset();
        }
    }

    /// Makes evcxr forget its variables if the child has been replaced since the last cell; returns
    /// their names.
    fn follow_child(&mut self) -> Vec<String> {
        if !self.context.supervisor.wait_ready(CHILD_START_TIMEOUT)
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

    /// Makes evcxr take a new relay and forget the variables, but not the items. evcxr's own
    /// `:restart` restores the variables as soon as it has dropped them; a cell that finds its
    /// relay closed has the wanted effect.
    fn forget_variables(&mut self) {
        self.context.supervisor.detach_all();
        if let Some(evcxr) = &mut self.evcxr {
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.execute("();")));
        }
    }

    /// Starts evcxr, so that the first cell is fast.
    pub(super) fn warm(&mut self) {
        let _ = self.attach();
    }

    pub(super) fn execute(&mut self, cell: &TypedCell) -> Result<evcxr::EvalOutputs, RustError> {
        let Some(evcxr) = &mut self.evcxr else {
            return Err(errors::plain("SessionDied", "evcxr is not running"));
        };
        match std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.execute(&cell.text))) {
            Ok(Ok(outputs)) => Ok(outputs),
            Ok(Err(error)) => Err(self.error(cell, error)),
            Err(_) => {
                self.evcxr = None;
                let message = "evcxr panicked; it restarts with the next cell, without the variables and items of earlier cells. The session is kept";
                Err(errors::plain("EvcxrPanic", message))
            }
        }
    }

    /// Decides from the child's report whether a cell that evcxr considers done has failed, and
    /// collects its displays.
    fn finish(
        &self,
        cell: &TypedCell,
        result: Result<evcxr::EvalOutputs, RustError>,
    ) -> Result<RustOutput, RustError> {
        let outputs = result?;
        if let Some(done) = self.context.supervisor.drain() {
            // The error message includes the end of standard error, which another thread reads.
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || drop(sender.send(done.blocking_recv())));
            let _ = receiver.recv_timeout(DRAIN_TIMEOUT);
        }
        let status = self.context.supervisor.cell();
        if let Some((ename, text)) = status.unanswered {
            return Err(errors::plain(ename, text));
        }
        if status.panicked() {
            return Err(errors::panic(&status.stderr_text(), &self.compiled(cell), &self.earlier));
        }
        if let Some(message) = status.failed() {
            return Err(errors::question_mark(message, &status.stderr_text()));
        }
        let mut mime = status.displays();
        let answer: BTreeMap<String, String> = outputs.content_by_mime_type.into_iter().collect();
        // The answer to a `:command` does not come from the child.
        if colon_commands::of(&cell.code).next().is_some() && mime.is_empty() && !answer.is_empty()
        {
            mime.push(answer);
        }
        Ok(RustOutput { mime })
    }

    pub(super) fn publish_variables(&self) {
        if let Some(evcxr) = &self.evcxr {
            let variables = evcxr
                .variables_and_types()
                .map(|(name, kind)| (name.to_owned(), short_type(kind)))
                .collect();
            self.context.shared.set_variables(variables);
        }
    }

    pub(super) fn error(&self, cell: &TypedCell, error: evcxr::Error) -> RustError {
        if self.is_interrupted() && !matches!(error, evcxr::Error::SubprocessTerminated(_)) {
            return errors::plain("Interrupted", INTERRUPTED);
        }
        match error {
            evcxr::Error::CompilationErrors(found) => errors::compile(&self.compiled(cell), &found),
            evcxr::Error::SubprocessTerminated(text) => match self.context.supervisor.last_exit() {
                Some(exit) => errors::child_exit(&exit),
                None => errors::plain("SessionDied", text),
            },
            evcxr::Error::TypeRedefinedVariablesLost(names) => errors::plain(
                "TypeRedefined",
                format!(
                    "a type was redefined, so the variables of the old type are gone: {}",
                    names.join(", ")
                ),
            ),
            evcxr::Error::Message(text) => errors::plain("Error", errors::reword_evcxr(&text)),
        }
    }
}

/// Adds the names of lost variables to a compile error, since the error may be about one of them.
fn note_lost_variables(mut error: RustError, lost: &[String]) -> RustError {
    if error.ename == "CompileError" && !lost.is_empty() {
        error.traceback.push(format!(
            "the session's process was replaced since the last cell; its variables are gone: {}",
            lost.join(", ")
        ));
    }
    error
}
