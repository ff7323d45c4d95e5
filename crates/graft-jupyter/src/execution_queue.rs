//! Runs cells one at a time, in the order in which they arrive.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use graft_frontend::{CellError, Frontend};
use tokio::sync::mpsc;

use crate::cell_output::{CellOutput, ExecuteOptions};
use crate::channels::iopub::Broadcast;
use crate::channels::outbox::Outbox;
use crate::kernel::{Kernel, WELCOME_TIMEOUT};
use crate::reply::{ExecuteReply, Reply};
use crate::request::Execute;
use crate::user_expressions::{self, ExpressionResult};
use crate::wire::Parent;

/// After an error: how long to wait for cells that are still in transit, so that they are aborted
/// like those in the queue.
const ABORT_WINDOW: Duration = Duration::from_millis(5);

/// A queued cell.
pub(crate) struct QueuedCell {
    /// The request.
    pub(crate) parent: Arc<Parent>,
    /// Its content.
    pub(crate) execute: Execute,
}

/// The sending half of the queue of cells.
#[derive(Clone)]
pub(crate) struct ExecutionQueue {
    cells: mpsc::UnboundedSender<QueuedCell>,
}

impl ExecutionQueue {
    /// Starts the task that runs cells.
    pub(crate) fn start(kernel: Arc<Kernel>, outbox: Outbox) -> Self {
        let (cells, queue) = mpsc::unbounded_channel();
        tokio::spawn(ExecutionTask { kernel, outbox, count: 0 }.run(queue));
        Self { cells }
    }

    /// Adds a cell.
    pub(crate) fn push(&self, cell: QueuedCell) {
        // The task runs until the process exits, so sending fails only during exit.
        let _ = self.cells.send(cell);
    }
}

struct ExecutionTask {
    kernel: Arc<Kernel>,
    outbox: Outbox,
    /// Execution count of the last cell that was counted.
    count: u64,
}

impl ExecutionTask {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<QueuedCell>) {
        let mut last = Arc::new(Parent::default());
        loop {
            // Output of the user's background threads between cells belongs to the last cell.
            let between_cells = CellOutput::new(
                self.kernel.clone(),
                last.clone(),
                self.count,
                ExecuteOptions { silent: false, allow_stdin: false, history: None },
            );
            let cell = tokio::select! {
                cell = queue.recv() => cell,
                never = self.kernel.interpreter().idle(&between_cells) => match never {},
            };
            let Some(cell) = cell else { return };
            last = cell.parent.clone();
            self.execute(cell, &mut queue).await;
        }
    }

    async fn execute(&mut self, cell: QueuedCell, queue: &mut mpsc::UnboundedReceiver<QueuedCell>) {
        let QueuedCell { parent, execute } = cell;
        let kernel = self.kernel.clone();
        kernel.iopub().welcomed(WELCOME_TIMEOUT).await;
        kernel.interrupt().clear();
        kernel.begin_cell(&parent);
        let output = self.begin(&parent, &execute);
        let result = self.execute_caught(&execute.code, &output).await;
        if !execute.silent {
            kernel.interpreter().record(&execute.code).await;
        }
        let values = if result.is_ok() {
            self.expressions(&execute.user_expressions).await
        } else {
            BTreeMap::new()
        };
        let is_aborting = result.is_err() && execute.stop_on_error;
        let aborted = if is_aborting { self.drain(queue).await } else { Vec::new() };
        let reply = self.reply(result.err().as_ref(), values, &output);
        self.outbox.send(&parent, &Reply::Execute(reply));
        kernel.end_cell(&parent);
        for cell in aborted {
            self.abort(&cell);
        }
    }

    /// Runs the cell. A panic of the kernel becomes an error of the cell, so that every cell gets a
    /// reply.
    async fn execute_caught(&self, code: &str, output: &CellOutput) -> Result<(), CellError> {
        let execution = self.kernel.interpreter().execute(code, output);
        let panic = match AssertUnwindSafe(execution).catch_unwind().await {
            Ok(result) => return result,
            Err(panic) => panic,
        };
        let error = CellError::new(
            "KernelPanic",
            &format!("the kernel panicked, the session continues: {}", panic_message(&*panic)),
        );
        output.error(&error);
        Err(error)
    }

    /// Counts and announces the cell according to its request.
    fn begin(&mut self, parent: &Arc<Parent>, execute: &Execute) -> CellOutput {
        let is_stored = execute.store_history && !execute.silent && !execute.code.trim().is_empty();
        let history = is_stored.then(|| self.kernel.history().clone());
        if let Some(history) = &history {
            self.count += 1;
            history.lock().unwrap_or_else(PoisonError::into_inner).add(self.count, &execute.code);
        }
        if !execute.silent {
            self.kernel.iopub().send(
                parent,
                Broadcast::ExecuteInput { code: execute.code.clone(), execution_count: self.count },
            );
        }
        let options =
            ExecuteOptions { silent: execute.silent, allow_stdin: execute.allow_stdin, history };
        CellOutput::new(self.kernel.clone(), parent.clone(), self.count, options)
    }

    async fn expressions(
        &self,
        expressions: &BTreeMap<String, String>,
    ) -> BTreeMap<String, ExpressionResult> {
        let mut values = BTreeMap::new();
        for (name, code) in expressions {
            let value = user_expressions::evaluate(&**self.kernel.interpreter(), code).await;
            values.insert(name.clone(), value);
        }
        values
    }

    fn reply(
        &self,
        error: Option<&CellError>,
        user_expressions: BTreeMap<String, ExpressionResult>,
        output: &CellOutput,
    ) -> ExecuteReply {
        ExecuteReply {
            status: if error.is_some() { "error" } else { "ok" },
            execution_count: Some(output.execution_count()),
            user_expressions,
            payload: output.take_payload(),
            error: error.map(Into::into),
        }
    }

    /// Takes all cells out of the queue, including those that arrive within [`ABORT_WINDOW`].
    async fn drain(&self, queue: &mut mpsc::UnboundedReceiver<QueuedCell>) -> Vec<QueuedCell> {
        tokio::time::sleep(ABORT_WINDOW).await;
        std::iter::from_fn(|| queue.try_recv().ok()).collect()
    }

    /// Rejects a cell because an earlier one failed. The status is `error`, not `aborted`, since
    /// protocol 5.1. A cell that did not run has no execution count.
    fn abort(&self, cell: &QueuedCell) {
        self.kernel.iopub().status(&cell.parent, "busy");
        let error = CellError {
            ename: "Aborted".to_owned(),
            evalue: "not run, because an earlier cell failed".to_owned(),
            traceback: Vec::new(),
        };
        let reply = ExecuteReply {
            status: "error",
            execution_count: None,
            user_expressions: BTreeMap::new(),
            payload: Vec::new(),
            error: Some((&error).into()),
        };
        self.outbox.send(&cell.parent, &Reply::Execute(reply));
        self.kernel.iopub().status(&cell.parent, "idle");
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
