//! The output of one cell: a [`Frontend`] over iopub and stdin.

use std::sync::{Arc, Mutex, PoisonError};

use graft_frontend::{Answer, CellError, Frontend, Rich, Stream};

use crate::channels::iopub::{Broadcast, Transient};
use crate::history::History;
use crate::kernel::Kernel;
use crate::mime_bundle::{image_sizes, mime_bundle};
use crate::reply::Payload;
use crate::wire::Parent;

/// Note below a cell that reads standard input although its client cannot answer.
const NO_STDIN_NOTE: &str = "this cell reads standard input, but its client accepts no input requests; it reads end of file";

/// Publishes the output of one cell under its request.
pub(crate) struct CellOutput {
    kernel: Arc<Kernel>,
    parent: Arc<Parent>,
    execution_count: u64,
    options: ExecuteOptions,
    payload: Mutex<Vec<Payload>>,
}

/// Options of an `execute_request` that affect the output.
pub(crate) struct ExecuteOptions {
    /// Publish nothing.
    pub(crate) silent: bool,
    /// The client answers input requests.
    pub(crate) allow_stdin: bool,
    /// Where to record the result.
    pub(crate) history: Option<Arc<Mutex<History>>>,
}

impl CellOutput {
    /// The output of the cell that `parent` requested.
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        parent: Arc<Parent>,
        execution_count: u64,
        options: ExecuteOptions,
    ) -> Self {
        Self { kernel, parent, execution_count, options, payload: Mutex::default() }
    }

    /// Execution count of the cell.
    pub(crate) fn execution_count(&self) -> u64 {
        self.execution_count
    }

    /// Takes the payloads for the reply.
    pub(crate) fn take_payload(&self) -> Vec<Payload> {
        std::mem::take(&mut self.payload.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, broadcast: Broadcast) {
        if !self.options.silent {
            self.kernel.iopub().send(&self.parent, broadcast);
        }
    }

    fn push(&self, payload: Payload) {
        self.payload.lock().unwrap_or_else(PoisonError::into_inner).push(payload);
    }

    fn show(&self, rich: &Rich, display_id: Option<&str>, update: bool) {
        let transient = Transient { display_id: display_id.map(str::to_owned) };
        self.publish(Broadcast::Display {
            data: mime_bundle(rich),
            metadata: image_sizes(rich),
            transient,
            update,
        });
    }
}

impl Frontend for CellOutput {
    fn stream(&self, stream: Stream, bytes: &[u8]) {
        if !self.options.silent {
            self.kernel.iopub().text(&self.parent, stream, bytes);
        }
    }

    fn display(&self, rich: &Rich, display_id: Option<&str>) {
        self.show(rich, display_id, false);
    }

    fn update_display(&self, rich: &Rich, display_id: &str) {
        self.show(rich, Some(display_id), true);
    }

    fn result(&self, rich: &Rich) {
        if let Some(history) = &self.options.history {
            history.lock().unwrap_or_else(PoisonError::into_inner).set_output(rich.text());
        }
        self.publish(Broadcast::Result {
            data: mime_bundle(rich),
            metadata: image_sizes(rich),
            execution_count: self.execution_count,
        });
    }

    fn clear_output(&self, wait: bool) {
        self.publish(Broadcast::ClearOutput { wait });
    }

    fn error(&self, error: &CellError) {
        self.publish(Broadcast::Error(error.into()));
    }

    fn page(&self, rich: &Rich) {
        self.push(Payload::Page { data: mime_bundle(rich), start: 0 });
    }

    fn set_next_input(&self, text: &str, replace: bool) {
        self.push(Payload::SetNextInput { text: text.to_owned(), replace });
    }

    fn input<'a>(&'a self, prompt: &'a str, password: bool) -> Answer<'a> {
        Box::pin(async move {
            if !self.options.allow_stdin {
                // A cell that shows a prompt fails; one that only reads continues.
                if prompt.is_empty() {
                    self.display(&Rich::note(NO_STDIN_NOTE), None);
                }
                return None;
            }
            // The prompt must not overtake earlier output of the cell.
            self.kernel.iopub().flushed().await;
            self.kernel.stdin().ask(&self.parent, prompt, password).await
        })
    }
}
