//! The execution lane: cells run one after the other, in the order in which they came.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;

use super::expression::{self, Evaluated};
use super::kernel::Kernel;
use super::notebook::{Manners, Notebook};
use super::reply::{ExecuteReply, Reply};
use super::request::Execute;
use super::wire::Parent;
use crate::cell::Cells;
use crate::channels::iopub::Broadcast;
use crate::channels::outbox::Outbox;
use graft_frontend::{CellError, Frontend};

/// After an error, how long cells that are already on their way may still arrive to be aborted with those in the queue.
const SETTLE: Duration = Duration::from_millis(5);
/// How long the first cell waits for a subscriber of iopub.
const GREETING: Duration = Duration::from_millis(60);

/// A cell that waits.
pub(crate) struct Job {
    /// The request.
    pub(crate) parent: Arc<Parent>,
    /// Its content.
    pub(crate) execute: Execute,
}

/// The way into the queue.
#[derive(Clone)]
pub(crate) struct Lane {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Lane {
    /// Starts the task that runs cells.
    pub(crate) fn start(kernel: Arc<Kernel>, cells: Cells, outbox: Outbox) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        tokio::spawn(Runner { kernel, cells, outbox, count: 0 }.run(queue));
        Self { jobs }
    }

    /// Adds a cell.
    pub(crate) fn queue(&self, job: Job) {
        // The task lives as long as the process: a closed queue means that the process ends.
        let _ = self.jobs.send(job);
    }
}

struct Runner {
    kernel: Arc<Kernel>,
    cells: Cells,
    outbox: Outbox,
    /// Number of the last cell that counted.
    count: u64,
}

impl Runner {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut last = Arc::new(Parent::default());
        loop {
            // What background threads of the user print between cells belongs to the last one.
            let idle = Notebook::new(
                self.kernel.clone(),
                last.clone(),
                self.count,
                Manners { silent: false, allow_stdin: false, history: None },
            );
            let job = tokio::select! {
                job = queue.recv() => job,
                never = self.cells.idle(&idle) => match never {},
            };
            let Some(job) = job else { return };
            last = job.parent.clone();
            self.cell(job, &mut queue).await;
        }
    }

    async fn cell(&mut self, job: Job, queue: &mut mpsc::UnboundedReceiver<Job>) {
        let Job { parent, execute } = job;
        let kernel = self.kernel.clone();
        kernel.iopub().greeted(GREETING).await;
        kernel.interrupt().clear();
        kernel.begin_cell(&parent);
        let notebook = self.begin(&parent, &execute);
        let result = self.guarded(&execute.code, &notebook).await;
        if !execute.silent {
            self.cells.remember(&execute.code);
        }
        let values = if result.is_ok() {
            self.expressions(&execute.user_expressions).await
        } else {
            BTreeMap::new()
        };
        let abort = result.is_err() && execute.stop_on_error;
        let aborted = if abort { self.settle(queue).await } else { Vec::new() };
        self.outbox
            .send(&parent, &Reply::Execute(self.reply(result.err().as_ref(), values, &notebook)));
        kernel.end_cell(&parent);
        for job in aborted {
            self.abort(&job);
        }
    }

    /// Runs the cell; a panic of the kernel itself is an error of the cell, never a cell without an answer.
    async fn guarded(&mut self, code: &str, notebook: &Notebook) -> Result<(), CellError> {
        let panicked = match AssertUnwindSafe(self.cells.run(code, notebook)).catch_unwind().await {
            Ok(result) => return result,
            Err(panicked) => panicked,
        };
        let text = panicked
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panicked.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        let evalue = graft_render::visible(&format!(
            "the kernel itself failed, the session goes on: {text}"
        ))
        .into_owned();
        let error = CellError {
            ename: "KernelPanic".to_owned(),
            traceback: vec![format!("KernelPanic: {evalue}")],
            evalue,
        };
        notebook.error(&error);
        Err(error)
    }

    /// Counts and announces the cell as its request wants it.
    fn begin(&mut self, parent: &Arc<Parent>, execute: &Execute) -> Notebook {
        let stored = execute.store_history && !execute.silent && !execute.code.trim().is_empty();
        let history = stored.then(|| self.kernel.history().clone());
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
        let manners = Manners { silent: execute.silent, allow_stdin: execute.allow_stdin, history };
        Notebook::new(self.kernel.clone(), parent.clone(), self.count, manners)
    }

    async fn expressions(
        &mut self,
        wanted: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Evaluated> {
        let mut values = BTreeMap::new();
        for (name, code) in wanted {
            values.insert(name.clone(), expression::evaluate(&mut self.cells, code).await);
        }
        values
    }

    fn reply(
        &self,
        error: Option<&CellError>,
        user_expressions: BTreeMap<String, Evaluated>,
        notebook: &Notebook,
    ) -> ExecuteReply {
        ExecuteReply {
            status: if error.is_some() { "error" } else { "ok" },
            execution_count: Some(notebook.execution_count()),
            user_expressions,
            payload: notebook.take_payload(),
            error: error.map(Into::into),
        }
    }

    /// Takes what is in the queue, and what is about to be.
    async fn settle(&self, queue: &mut mpsc::UnboundedReceiver<Job>) -> Vec<Job> {
        tokio::time::sleep(SETTLE).await;
        std::iter::from_fn(|| queue.try_recv().ok()).collect()
    }

    /// Refuses a cell because one before it failed. The protocol has `error` for this since 5.1, not `aborted`. A cell that did not run
    /// has no number.
    fn abort(&self, job: &Job) {
        self.kernel.iopub().status(&job.parent, "busy");
        let error = CellError {
            ename: "Aborted".to_owned(),
            evalue: "not run, because a cell before it failed".to_owned(),
            traceback: Vec::new(),
        };
        let reply = ExecuteReply {
            status: "error",
            execution_count: None,
            user_expressions: BTreeMap::new(),
            payload: Vec::new(),
            error: Some((&error).into()),
        };
        self.outbox.send(&job.parent, &Reply::Execute(reply));
        self.kernel.iopub().status(&job.parent, "idle");
    }
}
