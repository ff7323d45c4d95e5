//! Runs a cell: cuts it into its parts, has each executed, and shows what comes of it.
//!
//! Written once for every frontend. While a part runs, whatever the engine tells is shown as it comes; the part's own
//! answer is shown after everything that was printed before it.

mod host;
mod picture;
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
use graft_protocol::{Block, Command, Reply, Snapshot};
use graft_spec::Failure;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine_handle::EngineHandle;
use crate::live::{Live, Question};
use graft_engine::Executor;
use graft_engine::{EngineEvent, RustOutput};
use graft_frontend::Interrupt;
use graft_frontend::OutputBudget;
use graft_frontend::{CellError, Frontend, Rich};
use picture::Picture;

/// Files that `%run` may run inside one another.
const RUN_DEPTH: usize = 8;
/// How often output is looked at when nothing is due.
const FAR: Duration = Duration::from_secs(3600);

/// Name of the errors that the compiler has found.
const COMPILE_ERROR: &str = "CompileError";

/// Runs cells, one after the other.
pub(crate) struct CellRunner {
    engine_handle: EngineHandle,
    outputs: mpsc::UnboundedReceiver<EngineEvent>,
    interrupt: Interrupt,
    budget: OutputBudget,
    /// What was set with `%env`, for shell lines; the child has it too.
    env: BTreeMap<String, String>,
    /// Whether the engine was told of what was set before it was there.
    env_told: bool,
    /// The cells of this session that ran, for `%history`.
    ran: Vec<String>,
    /// Whether Rust has run, so that a name in a cell may be the user's own.
    rust_ran: bool,
    /// The folder before the last `%cd`.
    folder_before: Option<PathBuf>,
    /// What the engine was last doing when no cell ran.
    status: Option<String>,
}

/// One cell that runs.
struct CellState<'a> {
    /// The text in which failures point at their token.
    text: &'a str,
    frontend: &'a dyn Frontend,
    live: Live,
    /// How many `%run` this is inside.
    depth: usize,
}

impl CellRunner {
    /// CellRunner run by the engine of `engine_handle`, which tells what it does through `outputs`.
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
            env_told: false,
            ran: Vec::new(),
            rust_ran: false,
            folder_before: None,
            status: None,
        }
    }

    /// Runs one cell. Its error, if any, has been shown when this returns.
    ///
    /// # Errors
    /// What ended the cell.
    pub(crate) async fn run(
        &mut self,
        text: &str,
        frontend: &dyn Frontend,
    ) -> Result<(), CellError> {
        let mut running =
            CellState { text, frontend, live: Live::new(frontend.display_interval()), depth: 0 };
        if let Some(status) = self.status.take() {
            running.live.take(EngineEvent::Status(status), frontend);
        }
        let result = self.text(&mut running, text).await;
        running.live.finish(frontend);
        if let Err(error) = &result {
            frontend.error(error);
        }
        result
    }

    /// Remembers a cell for `%history`.
    pub(crate) fn record(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.ran.push(text.to_owned());
        }
    }

    /// Shows what arrives while no cell runs: threads of the user that print, a session that died.
    pub(crate) async fn idle(&mut self, frontend: &dyn Frontend) -> Infallible {
        let mut live = Live::new(frontend.display_interval());
        while let Some(output) = self.outputs.recv().await {
            match output {
                EngineEvent::Status(line) => self.status = (!line.is_empty()).then_some(line),
                EngineEvent::Input { answer, .. } => drop(answer.send(None)),
                other => drop(live.take(other, frontend)),
            }
            live.draw(frontend);
        }
        std::future::pending().await
    }

    /// Runs a text inside the running cell.
    async fn text(&mut self, running: &mut CellState<'_>, text: &str) -> Result<(), CellError> {
        let parts = parse_cell(text, &self.snapshot())
            .map_err(|failure| CellError::from_failure(&failure, text))?;
        self.parts(running, &parts).await
    }

    async fn parts(
        &mut self,
        running: &mut CellState<'_>,
        parts: &[Part],
    ) -> Result<(), CellError> {
        for (index, part) in parts.iter().enumerate() {
            // Recursive: `%time`, `%%time` and `%run` hold parts of their own.
            Box::pin(self.part(running, part, index + 1 == parts.len())).await?;
            if self.interrupt.is_pressed() {
                return Err(interrupted());
            }
        }
        Ok(())
    }

    async fn part(
        &mut self,
        running: &mut CellState<'_>,
        part: &Part,
        last: bool,
    ) -> Result<(), CellError> {
        match &part.kind {
            PartKind::Session(command) => {
                let reply = match Picture::asked(command) {
                    Some((picture, curves)) => {
                        self.command(running, curves).await.and_then(|reply| picture.write(&reply))
                    }
                    None => self.command(running, command.clone()).await,
                };
                let reply =
                    reply.map_err(|failure| CellError::from_failure(&failure, running.text))?;
                show(&reply, running);
            }
            PartKind::Rust(code) => self.rust_or_not(running, part, code, last).await?,
            PartKind::EvcxrCommand(code) => {
                show_rust(self.rust(running, code).await?, last, running.frontend)
            }
            PartKind::Shell(line) => self.shell(running, line).await?,
            PartKind::ShowRust(source) => running.frontend.display(&Rich::rust_code(source), None),
            PartKind::Host(command) => self.host(running, command, last).await?,
        }
        Ok(())
    }

    /// Has the session execute a command.
    async fn command(
        &mut self,
        running: &mut CellState<'_>,
        command: Command,
    ) -> Result<Reply, Failure> {
        if let Command::Generate { prompt, .. } | Command::Compare { prompt, .. } = &command {
            running.live.set_prompt(prompt);
        }
        let engine = self.engine(running).await?;
        let work = async {
            let result = engine.command(command).await;
            engine.drain().await;
            result
        };
        self.run_with_output(running, work).await
    }

    /// Runs Rust, unless it can be none: then the answer needs no compiler. What is Rust only where the user has defined a name is left
    /// to the compiler once Rust has run, and answered when the compiler has not found the name.
    async fn rust_or_not(
        &mut self,
        running: &mut CellState<'_>,
        part: &Part,
        code: &str,
        last: bool,
    ) -> Result<(), CellError> {
        let other = not_rust(code);
        if let Some(other) =
            other.as_ref().filter(|other| other.unless_defined.is_none() || !self.rust_ran)
        {
            return match &other.answer {
                Ok(kind) => {
                    Box::pin(self.part(running, &Part { kind: kind.clone(), ..part.clone() }, last))
                        .await
                }
                Err(failure) => Err(CellError::from_failure(failure, code)),
            };
        }
        let result = self.rust(running, code).await;
        self.rust_ran |= result.as_ref().is_ok()
            || result.as_ref().is_err_and(|error| error.ename != COMPILE_ERROR);
        match result {
            Ok(output) => show_rust(output, last, running.frontend),
            Err(error) => return Err(with_hint(error, code, other)),
        }
        Ok(())
    }

    async fn rust(
        &mut self,
        running: &mut CellState<'_>,
        code: &str,
    ) -> Result<RustOutput, CellError> {
        let engine = self
            .engine(running)
            .await
            .map_err(|failure| CellError::from_failure(&failure, running.text))?;
        let work = async {
            let result = engine.rust(code).await;
            engine.drain().await;
            result
        };
        Ok(self.run_with_output(running, work).await?)
    }

    /// The engine; while it starts, what it does is shown.
    async fn engine(&mut self, running: &mut CellState<'_>) -> Result<Arc<dyn Executor>, Failure> {
        if let Some(engine) = self.engine_handle.get() {
            self.tell_env(&engine);
            return Ok(engine);
        }
        let (engine_handle, interrupt) = (self.engine_handle.clone(), self.interrupt.clone());
        let work = async {
            tokio::select! {
                engine = engine_handle.engine() => engine,
                () = interrupt.pressed() => Err(Failure::new("cell::interrupted", "interrupted while the engine was starting; it goes on in the background")),
            }
        };
        let engine = self.run_with_output(running, work).await?;
        self.tell_env(&engine);
        Ok(engine)
    }

    fn tell_env(&mut self, engine: &Arc<dyn Executor>) {
        if !std::mem::replace(&mut self.env_told, true) {
            self.env.iter().for_each(|(name, value)| engine.set_env(name, value));
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.engine_handle.get().map(|engine| engine.snapshot()).unwrap_or_default()
    }

    /// Waits for `work` and shows everything that the engine tells meanwhile, up to what it told before the work ended.
    async fn run_with_output<T>(
        &mut self,
        running: &mut CellState<'_>,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        let result = loop {
            let due = running.live.next_draw().unwrap_or_else(|| Instant::now() + FAR);
            tokio::select! {
                biased;
                Some(output) = self.outputs.recv() => {
                    if let Some(result) = handle_output(output, running, &self.interrupt, work.as_mut()).await {
                        break result;
                    }
                }
                result = &mut work => break result,
                () = tokio::time::sleep_until(due) => {}
            }
            running.live.draw(running.frontend);
        };
        while let Ok(output) = self.outputs.try_recv() {
            // A question that came with the end has nobody who waits for its answer.
            drop(running.live.take(output, running.frontend));
        }
        result
    }
}

/// Shows an output; a question waits for its answer, but not beyond the end of `work`, whose result then comes back.
async fn handle_output<T>(
    output: EngineEvent,
    running: &mut CellState<'_>,
    interrupt: &Interrupt,
    work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let Question { prompt, password, answer } = running.live.take(output, running.frontend)?;
    let typed = tokio::select! {
        typed = running.frontend.input(&prompt, password) => typed,
        () = interrupt.pressed() => None,
        // The child has died, or somebody else has answered.
        result = work => return Some(result),
    };
    if typed.is_some() || !interrupt.is_pressed() {
        // The child may have died meanwhile; then nobody waits.
        let _ = answer.send(typed);
    }
    None
}

/// Shows an answer of the session: words and tables that follow each other as one display, each figure as one of its own.
/// A text that grew on the page is replaced by its final form, a progress bar by what it led to.
fn show(reply: &Reply, running: &mut CellState<'_>) {
    for blocks in reply.blocks.chunk_by(|a, b| !stands_alone(a) && !stands_alone(b)) {
        let (rich, text) = match blocks {
            [block] => (Rich::from_block(block), is_text(block)),
            blocks => (Rich::from_blocks(blocks), false),
        };
        let replaced = if text {
            running.live.replace_text(&rich, running.frontend)
        } else {
            running.live.replace_progress(&rich, running.frontend)
        };
        if !replaced {
            running.frontend.display(&rich, None);
        }
    }
}

fn stands_alone(block: &Block) -> bool {
    matches!(block, Block::Chart(_) | Block::Heat(_)) || is_text(block)
}

/// Whether the model wrote it.
fn is_text(block: &Block) -> bool {
    matches!(block, Block::Generated { .. } | Block::SideBySide { .. })
}

/// Shows what Rust gave; the value of the cell's last expression is its result.
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

/// An error of the compiler with the magic that was meant, where its name was not found or where there was no Rust to be parsed.
fn with_hint(mut error: CellError, code: &str, other: Option<NotRust>) -> CellError {
    if error.ename != COMPILE_ERROR {
        return error;
    }
    let meant = other.filter(|other| {
        let name = other.unless_defined.clone().unwrap_or_default();
        error.evalue.contains(&format!("`{name}`")) || error.evalue.starts_with("expected")
    });
    let hint = match meant.map(|other| other.answer) {
        Some(Ok(_)) => Some(format!("did you mean `%{}`?", code.trim())),
        Some(Err(failure)) => failure.hint,
        None => magic_after_rust(code),
    };
    error.traceback.extend(hint.map(|hint| format!("\u{1b}[34mhint\u{1b}[0m: {hint}")));
    error
}

fn interrupted() -> CellError {
    let evalue = "stopped by you; what was done so far is kept".to_owned();
    CellError {
        ename: "Interrupted".to_owned(),
        traceback: vec![format!("\u{1b}[31mInterrupted\u{1b}[0m: {evalue}")],
        evalue,
    }
}

#[cfg(test)]
mod tests;
