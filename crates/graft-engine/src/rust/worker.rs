//! The evcxr worker: runs cells and `:commands`, answers completion and inspection.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use evcxr::CommandContext;

use super::WorkerContext;
use crate::compile_progress::CompileProgress;
use crate::errors::{self, Compiled};
use crate::rust_error::RustError;
use crate::rust_result::{RustCompletion, RustInspection, RustOutput};
use crate::stderr_filter::CargoOutputFilter;
use crate::{colon_commands, panic_report};

/// Longest wait for the child before evcxr is attached to it.
pub(super) const CHILD_START_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the output that a cell printed before it ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Code whose completion makes rust-analyzer infer a tensor's type, which is slow the first time.
const WARM_UP: &str = "let warm = lab(); let tensor = graft::candle::Tensor::zeros(2, graft::candle::DType::F32, &graft::candle::Device::Cpu); warm.";

/// The shortest cell that needs `?`.
const QUESTION_MARK: &str = "Ok::<(), std::fmt::Error>(())?;";

/// Number of earlier cells whose sources are stored: a closure may panic long after the cell that
/// defined it.
const MAX_SOURCES: usize = 64;

/// The answer to `:restart`.
const RESTARTED: &str = "the Rust variables are gone; items, model, adapters and data are kept\n";

/// evcxr with the state of the session that it belongs to.
pub(super) struct Worker {
    pub(super) context: WorkerContext,
    pub(super) evcxr: Option<CommandContext>,
    /// The number of the child that holds evcxr's variables.
    pub(super) generation: u64,
    /// Whether rust-analyzer has been warmed up.
    pub(super) warmed: bool,
    /// Whether evcxr has been set up for cells that use `?`.
    pub(super) question_mark: bool,
    /// The last cells that ran, with their generated sources.
    earlier: VecDeque<Arc<Compiled>>,
}

impl Worker {
    /// A worker without evcxr, which starts with the first cell.
    pub(super) fn new(context: WorkerContext) -> Self {
        Self {
            context,
            evcxr: None,
            generation: 0,
            warmed: false,
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
        let lost = self.follow_child();
        self.use_registry(code)?;
        let result = self.run_cell(code).map_err(|error| note_lost_variables(error, &lost));
        self.remember_source(code, &result);
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

    /// Prepares the session's folder for a cell that adds a crate.
    fn use_registry(&self, code: &str) -> Result<(), RustError> {
        let adds = colon_commands::of(code).any(|command| command.name == ":dep");
        if !adds && !code.contains("extern crate") {
            return Ok(());
        }
        self.context.folder.use_registry(&self.context.prebuilt.layout).map_err(|error| {
            errors::plain("Error", format!("cannot write the session's lock file: {error}"))
        })
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
        self.allow_question_mark(code);
        self.locate_panics(code);
        let result = self.execute(code);
        drop((progress, filter));
        self.finish(code, result)
    }

    /// Maps panics of the cell's threads to lines of the cell. The thread may outlive the cell.
    fn locate_panics(&self, code: &str) {
        let code = code.to_owned();
        let source = self.context.folder.generated();
        let earlier = self.earlier.clone();
        self.context.supervisor.set_panic_locator(Arc::new(move |text| {
            let generated = std::fs::read_to_string(&source).unwrap_or_default();
            let cell = Compiled { code: code.clone(), generated };
            panic_report::replace_locations(text, |file, line, column| {
                errors::describe_panic(file, line, column, &cell, &earlier)
            })
        }));
    }

    /// The cell with the source that was compiled last.
    fn compiled(&self, code: &str) -> Compiled {
        // Without the source, errors are shown without their lines.
        Compiled {
            code: code.to_owned(),
            generated: std::fs::read_to_string(self.context.folder.generated()).unwrap_or_default(),
        }
    }

    /// Stores the source of a cell that ran, also of one that ended with an error.
    fn remember_source(&mut self, code: &str, result: &Result<RustOutput, RustError>) {
        let did_not_run = |error: &RustError| !matches!(error.ename.as_str(), "Panic" | "Error");
        if !result.as_ref().is_err_and(did_not_run) {
            self.earlier.push_back(Arc::new(self.compiled(code)));
            if self.earlier.len() > MAX_SOURCES {
                self.earlier.pop_front();
            }
        }
    }

    /// Runs a small cell with `?` before the first cell whose last expression contains one. evcxr
    /// detects `?` by a compilation that fails, and in that step it would drop the display of the
    /// cell's value.
    fn allow_question_mark(&mut self, code: &str) {
        let last = code.rsplit(';').next().unwrap_or_default();
        if !self.question_mark && last.contains('?') && self.execute(QUESTION_MARK).is_ok() {
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

    /// Completions at a byte offset.
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

    /// Documentation of the name at a byte offset.
    pub(super) fn inspect(&mut self, code: &str, byte: usize) -> Option<RustInspection> {
        let end = end_of_name(code, byte);
        let evcxr = self.evcxr.as_mut()?;
        let found = std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.hover_at(code, end)));
        let (plain, html) = found.ok()?.ok()?;
        (plain != "No documentation found").then_some(RustInspection { plain, html })
    }

    /// Starts evcxr and warms rust-analyzer up, so that the first cell and the first `let` are
    /// fast.
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

    /// Whether evcxr is running and [`Self::warm`] has not run yet.
    pub(super) fn is_cold(&self) -> bool {
        self.evcxr.is_some() && !self.warmed
    }

    pub(super) fn execute(&mut self, code: &str) -> Result<evcxr::EvalOutputs, RustError> {
        let Some(evcxr) = &mut self.evcxr else {
            return Err(errors::plain("SessionDied", "evcxr is not running"));
        };
        match std::panic::catch_unwind(AssertUnwindSafe(|| evcxr.execute(code))) {
            Ok(Ok(outputs)) => Ok(outputs),
            Ok(Err(error)) => Err(self.error(code, error)),
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
        code: &str,
        result: Result<evcxr::EvalOutputs, RustError>,
    ) -> Result<RustOutput, RustError> {
        let outputs = result?;
        if let Some(done) = self.context.supervisor.drain() {
            // The error message includes the end of standard error, which another thread reads.
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || drop(sender.send(done.blocking_recv())));
            let _ = receiver.recv_timeout(DRAIN_TIMEOUT);
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
        let answer: BTreeMap<String, String> = outputs.content_by_mime_type.into_iter().collect();
        // The answer to a `:command` does not come from the child.
        if colon_commands::of(code).next().is_some() && mime.is_empty() && !answer.is_empty() {
            mime.push(answer);
        }
        Ok(RustOutput { mime })
    }

    pub(super) fn publish_variables(&self) {
        if let Some(evcxr) = &self.evcxr {
            let variables = evcxr
                .variables_and_types()
                .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
                .collect();
            self.context.shared.set_variables(variables);
        }
    }

    pub(super) fn error(&self, code: &str, error: evcxr::Error) -> RustError {
        if self.is_interrupted() && !matches!(error, evcxr::Error::SubprocessTerminated(_)) {
            return errors::plain(
                "Interrupted",
                "interrupted while the cell was compiled; variables and session are kept",
            );
        }
        match error {
            evcxr::Error::CompilationErrors(found) => errors::compile(&self.compiled(code), &found),
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

/// The end of the name at the cursor. evcxr inspects the name that ends at a given byte, but the
/// cursor may be inside the name.
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
