//! `graft run FILE`: the same magics and Rust from a plain file, in a terminal.
//!
//! The cell runner is the notebook's; only the [`screen::Screen`] differs. The first error ends the run with exit status 1,
//! Ctrl-C stops what runs (a training keeps what it has) and ends with 130. A reader that leaves, as `head` does, ends it quietly.

mod keyboard;
mod screen;
mod script;

use std::process::ExitCode;
use std::sync::Arc;

use graft_spec::Failure;
use tokio::sync::{Notify, mpsc};

use crate::cell::CellRunner;
use crate::cli::RunArgs;
use crate::engine_handle::{EngineFactory, EngineHandle};
use graft_frontend::Interrupt;
use graft_frontend::OutputBudget;
use graft_frontend::{CellError, Frontend};
use screen::Screen;
use script::Script;

/// Exit status after Ctrl-C, as shells count it.
const STOPPED: u8 = 130;

/// Runs the file; its output is on the screen when this returns.
pub(crate) async fn run(args: &RunArgs, start: Arc<EngineFactory>) -> ExitCode {
    let screen = Screen::standard();
    match Script::read(&args.file) {
        Ok(script) => ExitCode::from(run_cells(&script, &screen, args.keep_going, start).await),
        Err(error) => {
            screen.error(&CellError::from_failure(&Failure::from(error), ""));
            ExitCode::from(2)
        }
    }
}

/// Runs the cells one after the other; the exit status.
async fn run_cells(
    script: &Script,
    screen: &Screen,
    keep_going: bool,
    start: Arc<EngineFactory>,
) -> u8 {
    let (output, outputs) = mpsc::unbounded_channel();
    let engine_handle = EngineHandle::start(start, output);
    let interrupt = Interrupt::default();
    let keys = tokio::spawn(watch(engine_handle.clone(), interrupt.clone(), screen.left()));
    let mut cells =
        CellRunner::new(engine_handle.clone(), outputs, interrupt.clone(), OutputBudget::default());
    let mut failed = false;
    for cell in &script.cells {
        failed |= cells.run(cell, screen).await.is_err();
        cells.record(cell);
        if interrupt.is_pressed() || screen.is_closed() || (failed && !keep_going) {
            break;
        }
    }
    keys.abort();
    if let Some(engine) = engine_handle.get() {
        engine.shutdown().await;
    }
    match (screen.is_closed(), interrupt.is_pressed()) {
        (true, _) => 0,
        (false, true) => STOPPED,
        (false, false) => u8::from(failed),
    }
}

/// Ctrl-C is the stop button: the first asks, the second kills what does not listen. A reader who left (`| head`) is one press.
async fn watch(engine_handle: EngineHandle, interrupt: Interrupt, left: Arc<Notify>) {
    loop {
        tokio::select! {
            key = tokio::signal::ctrl_c() => if key.is_err() { return },
            () = left.notified() => {}
        }
        interrupt.press();
        if let Some(engine) = engine_handle.get() {
            engine.interrupt().await;
        }
    }
}

#[cfg(test)]
mod tests;
