//! Runs a cell: splits it into parts, executes each part and shows its output.
//!
//! The runner is independent of the frontend. While a part runs, the output of the engine is shown
//! as it arrives; the reply of the part is shown after everything that was printed before it.

mod expressions;
mod host;
mod plot_file;
mod points;
mod shell;
mod write_file;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use graft_magic::{NotRust, Part, PartKind, magic_after_rust, not_rust, parse_cell};
use graft_protocol::{Block, ChatAction, Command, Points, Reply, Snapshot};
use graft_spec::Failure;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine_handle::EngineHandle;
use crate::error::KernelError;
use crate::live::{InputRequest, Live};
use graft_engine::Executor;
use graft_engine::{EngineEvent, RustOutput};
use graft_frontend::Interrupt;
use graft_frontend::OutputBudget;
use graft_frontend::{CellError, Frontend, Rich};
use plot_file::PlotFile;

/// Maximum nesting depth of `%run`.
const MAX_RUN_DEPTH: usize = 8;
/// How long to wait for output when no redraw is due.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// Name of compiler errors.
const COMPILE_ERROR: &str = "CompileError";

/// Runs cells, one at a time.
pub(crate) struct CellRunner {
    engine_handle: EngineHandle,
    outputs: mpsc::UnboundedReceiver<EngineEvent>,
    interrupt: Interrupt,
    budget: OutputBudget,
    /// Variables set with `%env`; they apply to shell lines and to the child process.
    env: BTreeMap<String, String>,
    /// Whether the variables set before the engine started have been passed to it.
    env_sent: bool,
    /// The cells executed in this session, for `%history`.
    executed: Vec<String>,
    /// Whether Rust has run, so that a name in a cell may be defined by the user.
    rust_has_run: bool,
    /// The working directory before the last `%cd`.
    previous_folder: Option<PathBuf>,
    /// The last status of the engine between cells.
    status: Option<String>,
    /// The line of the last cell in which an error ended it, starting at 0.
    error_line: Option<usize>,
}

/// State of the running cell.
struct CellState<'a> {
    /// The code of the cell, in which failures mark the offending token.
    text: &'a str,
    frontend: &'a dyn Frontend,
    live: Live,
    /// Nesting depth of `%run`.
    depth: usize,
    /// The points of the checks so far: the result of the cell.
    points: Option<Points>,
}

impl CellRunner {
    /// A runner that uses the engine of `engine_handle`, whose output arrives through `outputs`.
    pub(crate) fn new(
        engine_handle: EngineHandle,
        outputs: mpsc::UnboundedReceiver<EngineEvent>,
        interrupt: Interrupt,
        budget: OutputBudget,
    ) -> Self {
        Self {
            engine_handle,
            outputs,
            interrupt,
            budget,
            env: BTreeMap::new(),
            env_sent: false,
            executed: Vec::new(),
            rust_has_run: false,
            previous_folder: None,
            status: None,
            error_line: None,
        }
    }

    /// The line of the last cell in which an error ended it, starting at 0.
    pub(crate) fn error_line(&self) -> Option<usize> {
        self.error_line
    }

    /// Runs one cell. An error has been shown when this returns.
    ///
    /// # Errors
    /// The error that ended the cell.
    pub(crate) async fn run(
        &mut self,
        text: &str,
        frontend: &dyn Frontend,
    ) -> Result<(), CellError> {
        let mut state = CellState {
            text,
            frontend,
            live: Live::new(frontend.display_interval()),
            depth: 0,
            points: None,
        };
        if let Some(status) = self.status.take() {
            state.live.handle(EngineEvent::Status(status), frontend);
        }
        self.error_line = None;
        let result = self.text(&mut state, text).await;
        state.live.finish(frontend);
        match (&result, state.points) {
            (Err(error), _) => frontend.error(error),
            (Ok(()), Some(points)) => frontend.result(&points::result(points)),
            (Ok(()), None) => {}
        }
        result
    }

    /// Adds a cell to `%history`.
    pub(crate) fn record(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.executed.push(text.to_owned());
        }
    }

    /// Shows output that arrives between cells, such as prints of background threads or a crash of
    /// the session.
    pub(crate) async fn idle(&mut self, frontend: &dyn Frontend) -> Infallible {
        let mut live = Live::new(frontend.display_interval());
        while let Some(output) = self.outputs.recv().await {
            match output {
                EngineEvent::Status(line) => self.status = (!line.is_empty()).then_some(line),
                EngineEvent::Input { answer, .. } => drop(answer.send(None)),
                other => drop(live.handle(other, frontend)),
            }
            live.redraw(frontend);
        }
        std::future::pending().await
    }

    /// Runs code within the current cell.
    async fn text(&mut self, state: &mut CellState<'_>, text: &str) -> Result<(), CellError> {
        let parts = parse_cell(text, &self.snapshot()).map_err(|failure| {
            self.error_line = failure.span.map(|span| span.line);
            CellError::from_failure(&failure, text)
        })?;
        self.parts(state, &parts).await
    }

    async fn parts(&mut self, state: &mut CellState<'_>, parts: &[Part]) -> Result<(), CellError> {
        for (index, part) in parts.iter().enumerate() {
            // Boxed because `%time`, `%%time` and `%run` contain parts themselves.
            let result = Box::pin(self.part(state, part, index + 1 == parts.len())).await;
            if result.is_err() {
                // Set last by the outermost part, whose lines are those of the cell.
                self.error_line = Some(part.line);
            }
            result?;
            if self.interrupt.is_pressed() {
                return Err(interrupted());
            }
        }
        Ok(())
    }

    async fn part(
        &mut self,
        state: &mut CellState<'_>,
        part: &Part,
        last: bool,
    ) -> Result<(), CellError> {
        match &part.kind {
            PartKind::Session(command) => {
                let reply = match PlotFile::requested(command) {
                    Some((plot, curves)) => {
                        self.command(state, curves).await.and_then(|reply| Ok(plot.write(&reply)?))
                    }
                    None => self.command(state, command.clone()).await,
                };
                let reply =
                    reply.map_err(|failure| CellError::from_failure(&failure, state.text))?;
                show_reply(&reply, state);
            }
            PartKind::Rust(code) => self.rust_or_hint(state, part, code, last).await?,
            PartKind::EvcxrCommand(code) => {
                show_rust(self.rust(state, code).await?, last, state.frontend)
            }
            PartKind::Shell(line) => self.shell(state, line).await?,
            PartKind::ShowRust(source) => state.frontend.display(&Rich::rust_code(source), None),
            PartKind::Host(command) => self.host(state, command, last).await?,
            PartKind::Deferred(deferred) => self.deferred(state, deferred).await?,
        }
        Ok(())
    }

    /// Executes a command of the session.
    async fn command(
        &mut self,
        state: &mut CellState<'_>,
        command: Command,
    ) -> Result<Reply, Failure> {
        if let Command::Generate { prompt, .. } | Command::Compare { prompt, .. } = &command {
            state.live.set_prompt(prompt);
        }
        if let Command::Chat { action: ChatAction::Say { text, .. } } = &command {
            state.live.set_prompt(&format!("{text}\n\n"));
        }
        let engine = self.engine(state).await?;
        let work = async {
            let result = engine.command(command).await;
            engine.drain().await;
            result
        };
        self.run_with_output(state, work).await
    }

    /// Runs Rust code. Code that cannot be Rust is answered without the compiler. Code that is Rust
    /// only if the user has defined a name is compiled once Rust has run; the hint is added if the
    /// compiler does not find the name.
    async fn rust_or_hint(
        &mut self,
        state: &mut CellState<'_>,
        part: &Part,
        code: &str,
        last: bool,
    ) -> Result<(), CellError> {
        let other = not_rust(code);
        if let Some(other) =
            other.as_ref().filter(|other| other.unless_defined.is_none() || !self.rust_has_run)
        {
            return match &other.answer {
                Ok(kind) => {
                    Box::pin(self.part(state, &Part { kind: kind.clone(), ..part.clone() }, last))
                        .await
                }
                Err(failure) => Err(CellError::from_failure(failure, code)),
            };
        }
        let result = self.rust(state, code).await;
        self.rust_has_run |= result.as_ref().is_ok()
            || result.as_ref().is_err_and(|error| error.ename != COMPILE_ERROR);
        match result {
            Ok(output) => show_rust(output, last, state.frontend),
            Err(error) => return Err(with_hint(error, code, other)),
        }
        Ok(())
    }

    async fn rust(
        &mut self,
        state: &mut CellState<'_>,
        code: &str,
    ) -> Result<RustOutput, CellError> {
        let engine = self
            .engine(state)
            .await
            .map_err(|failure| CellError::from_failure(&failure, state.text))?;
        let work = async {
            let result = engine.rust(code).await;
            engine.drain().await;
            result
        };
        Ok(self.run_with_output(state, work).await?)
    }

    /// Returns the engine; shows its status while it starts.
    async fn engine(&mut self, state: &mut CellState<'_>) -> Result<Arc<dyn Executor>, Failure> {
        if let Some(engine) = self.engine_handle.get() {
            self.send_env(&engine);
            return Ok(engine);
        }
        let (engine_handle, interrupt) = (self.engine_handle.clone(), self.interrupt.clone());
        let work = async {
            tokio::select! {
                engine = engine_handle.engine() => engine,
                () = interrupt.pressed() => Err(KernelError::InterruptedStart.into()),
            }
        };
        let engine = self.run_with_output(state, work).await?;
        self.send_env(&engine);
        Ok(engine)
    }

    fn send_env(&mut self, engine: &Arc<dyn Executor>) {
        if !std::mem::replace(&mut self.env_sent, true) {
            self.env.iter().for_each(|(name, value)| engine.set_env(name, value));
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.engine_handle.get().map(|engine| engine.snapshot()).unwrap_or_default()
    }

    /// Runs `work` and shows the output of the engine that arrives before it completes.
    async fn run_with_output<T>(
        &mut self,
        state: &mut CellState<'_>,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        let result = loop {
            let due = state.live.next_redraw().unwrap_or_else(|| Instant::now() + IDLE_TIMEOUT);
            tokio::select! {
                biased;
                Some(output) = self.outputs.recv() => {
                    if let Some(result) = handle_output(output, state, &self.interrupt, work.as_mut()).await {
                        break result;
                    }
                }
                result = &mut work => break result,
                () = tokio::time::sleep_until(due) => {}
            }
            state.live.redraw(state.frontend);
        };
        while let Ok(output) = self.outputs.try_recv() {
            // An input request that arrives after completion is dropped.
            drop(state.live.handle(output, state.frontend));
        }
        result
    }
}

/// Shows an output. An input request is answered by the frontend; if `work` completes first, its
/// result is returned.
async fn handle_output<T>(
    output: EngineEvent,
    state: &mut CellState<'_>,
    interrupt: &Interrupt,
    work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let InputRequest { prompt, password, answer } = state.live.handle(output, state.frontend)?;
    let typed = tokio::select! {
        typed = state.frontend.input(&prompt, password) => typed,
        () = interrupt.pressed() => None,
        // The child has exited, or the request was answered elsewhere.
        result = work => return Some(result),
    };
    if typed.is_some() || !interrupt.is_pressed() {
        // The child may have exited in the meantime.
        let _ = answer.send(typed);
    }
    None
}

/// Shows a reply of the session: consecutive texts and tables as one display, each figure as a
/// separate one. Generated text on the page is replaced by its final form, a progress bar by the
/// result.
fn show_reply(reply: &Reply, state: &mut CellState<'_>) {
    state.points = points::added(state.points, reply);
    for blocks in reply.blocks.chunk_by(|a, b| !needs_own_display(a) && !needs_own_display(b)) {
        let (rich, is_text) = match blocks {
            [block] => (Rich::from_block(block), is_generated(block)),
            blocks => (Rich::from_blocks(blocks), false),
        };
        let was_replaced = if is_text {
            state.live.replace_text(&rich, state.frontend)
        } else {
            state.live.replace_progress(&rich, state.frontend)
        };
        if !was_replaced {
            state.frontend.display(&rich, None);
        }
    }
}

fn needs_own_display(block: &Block) -> bool {
    matches!(block, Block::Chart(_) | Block::Heat(_)) || is_generated(block)
}

/// Whether the block is text generated by the model.
fn is_generated(block: &Block) -> bool {
    matches!(block, Block::Generated { .. } | Block::SideBySide { .. })
}

/// Shows the output of Rust code; the value of the last expression of the cell is its result.
fn show_rust(output: RustOutput, last: bool, frontend: &dyn Frontend) {
    let count = output.mime.len();
    for (index, mime) in output.mime.into_iter().enumerate() {
        let rich = Rich { mime, ..Rich::default() };
        match last && index + 1 == count {
            true => frontend.result(&rich),
            false => frontend.display(&rich, None),
        }
    }
}

/// Adds a hint with the intended magic to a compiler error, if a name was not found or the code
/// does not parse.
fn with_hint(mut error: CellError, code: &str, other: Option<NotRust>) -> CellError {
    if error.ename != COMPILE_ERROR {
        return error;
    }
    let intended = other.filter(|other| {
        let name = other.unless_defined.clone().unwrap_or_default();
        error.evalue.contains(&format!("`{name}`")) || error.evalue.starts_with("expected")
    });
    let hint = match intended.map(|other| other.answer) {
        Some(Ok(_)) => Some(format!("did you mean `%{}`?", code.trim())),
        Some(Err(failure)) => failure.hint,
        None => magic_after_rust(code),
    };
    error.traceback.extend(hint.map(|hint| format!("\u{1b}[34mhint\u{1b}[0m: {hint}")));
    error
}

fn interrupted() -> CellError {
    let evalue = "interrupted; results so far are kept".to_owned();
    CellError {
        ename: "Interrupted".to_owned(),
        traceback: vec![format!("\u{1b}[31mInterrupted\u{1b}[0m: {evalue}")],
        evalue,
    }
}

#[cfg(test)]
mod tests;
