//! `graft run FILE`: runs magics and Rust from a file in a terminal.
//!
//! The cell runner is the same as in notebooks; only the frontend ([`screen::Screen`]) differs. The
//! first error ends the run with exit status 1. Ctrl-C interrupts the running cell (training keeps
//! its results so far) and exits with status 130. A closed output, as with `| head`, ends the run
//! without an error.

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

/// Exit status after Ctrl-C, as in shells.
const INTERRUPTED_STATUS: u8 = 130;

/// Runs the file; all output has been written when this returns.
pub(crate) async fn run(args: &RunArgs, factory: Arc<EngineFactory>) -> ExitCode {
    let screen = Screen::standard();
    match Script::read(&args.file) {
        Ok(script) => ExitCode::from(run_cells(&script, &screen, args, factory).await),
        Err(error) => {
            screen.error(&CellError::from_failure(&Failure::from(error), ""));
            ExitCode::from(2)
        }
    }
}

/// Runs the cells in order and returns the exit status.
async fn run_cells(
    script: &Script,
    screen: &Screen,
    args: &RunArgs,
    factory: Arc<EngineFactory>,
) -> u8 {
    let (output, outputs) = mpsc::unbounded_channel();
    let engine_handle = EngineHandle::start(factory, output);
    let interrupt = Interrupt::default();
    let keys =
        tokio::spawn(forward_interrupts(engine_handle.clone(), interrupt.clone(), screen.closed()));
    let mut runner =
        CellRunner::new(engine_handle.clone(), outputs, interrupt.clone(), OutputBudget::default());
    let mut failed = false;
    for cell in &script.cells {
        if runner.run(&cell.text, screen).await.is_err() {
            failed = true;
            if let Some(line) = runner.error_line().filter(|_| !interrupt.is_pressed()) {
                screen.location(&cell.location(&args.file, line));
            }
        }
        runner.record(&cell.text);
        if interrupt.is_pressed() || screen.is_closed() || (failed && !args.keep_going) {
            break;
        }
    }
    keys.abort();
    if let Some(engine) = engine_handle.get() {
        engine.shutdown().await;
    }
    match (screen.is_closed(), interrupt.is_pressed()) {
        (true, _) => 0,
        (false, true) => INTERRUPTED_STATUS,
        (false, false) => u8::from(failed),
    }
}

/// Interrupts the running cell on Ctrl-C and when the output is closed (`| head`). A second Ctrl-C
/// kills a child that does not react.
async fn forward_interrupts(
    engine_handle: EngineHandle,
    interrupt: Interrupt,
    closed: Arc<Notify>,
) {
    loop {
        tokio::select! {
            key = tokio::signal::ctrl_c() => if key.is_err() { return },
            () = closed.notified() => {}
        }
        interrupt.press();
        if let Some(engine) = engine_handle.get() {
            engine.interrupt().await;
        }
    }
}

#[cfg(test)]
mod tests;
