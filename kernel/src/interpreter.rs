//! The [`Interpreter`] of Graft: runs magics and Rust cells with the engine.

mod assist;
mod code_points;
mod info;
mod known_names;

use std::convert::Infallible;
use std::sync::Arc;

use futures::future::BoxFuture;
use graft_frontend::{CellError, Frontend, Interrupt, OutputBudget, Rich};
use graft_jupyter::{Completeness, Completions, History, Interpreter, KernelConfig, KernelInfo};
use tokio::sync::{Mutex, mpsc};

use crate::cell::CellRunner;
use crate::engine_handle::{EngineFactory, EngineHandle};

/// Runs the cells of one kernel.
pub(crate) struct KernelInterpreter {
    engine: EngineHandle,
    /// Locked while a cell runs; completion, inspection and interrupts use the engine directly.
    runner: Mutex<CellRunner>,
}

/// The configuration of a kernel whose engine `factory` starts now, in the background.
pub(crate) fn kernel_config(
    factory: Arc<EngineFactory>,
    budget: OutputBudget,
    history: History,
) -> KernelConfig {
    let (output, outputs) = mpsc::unbounded_channel();
    let engine = EngineHandle::start(factory, output);
    let interrupt = Interrupt::default();
    let runner = CellRunner::new(engine.clone(), outputs, interrupt.clone(), budget.clone());
    let interpreter = Arc::new(KernelInterpreter { engine, runner: Mutex::new(runner) });
    KernelConfig { interpreter, interrupt, budget, history }
}

impl Interpreter for KernelInterpreter {
    fn kernel_info(&self) -> KernelInfo {
        info::kernel_info()
    }

    fn execute<'a>(
        &'a self,
        code: &'a str,
        frontend: &'a dyn Frontend,
    ) -> BoxFuture<'a, Result<(), CellError>> {
        Box::pin(async move { self.runner.lock().await.run(code, frontend).await })
    }

    fn record<'a>(&'a self, code: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.runner.lock().await.record(code) })
    }

    fn idle<'a>(&'a self, frontend: &'a dyn Frontend) -> BoxFuture<'a, Infallible> {
        Box::pin(async move { self.runner.lock().await.idle(frontend).await })
    }

    fn complete<'a>(&'a self, code: &'a str, cursor: usize) -> BoxFuture<'a, Completions> {
        Box::pin(assist::complete(&self.engine, code, cursor))
    }

    fn inspect<'a>(
        &'a self,
        code: &'a str,
        cursor: usize,
        detail_level: u8,
    ) -> BoxFuture<'a, Option<Rich>> {
        Box::pin(assist::inspect(&self.engine, code, cursor, detail_level))
    }

    fn is_complete(&self, code: &str) -> Completeness {
        assist::is_complete(code)
    }

    fn interrupt(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(engine) = self.engine.get() {
                engine.interrupt().await;
            }
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(engine) = self.engine.get() {
                engine.shutdown().await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
