//! One cell's way out to its client: [`Frontend`] over iopub and stdin.

use std::sync::{Arc, Mutex, PoisonError};

use graft_protocol::{Block, Level};

use super::history::History;
use super::kernel::Kernel;
use super::reply::{Payload, mime_bundle, picture_sizes};
use super::wire::Parent;
use crate::channels::iopub::{Broadcast, Transient};
use graft_frontend::{Answer, CellError, Frontend, Rich, Stream};

/// Shown below a cell that reads standard input where its client has said that it answers no questions.
const NO_INPUT: &str =
    "this cell reads standard input; its client answers no questions, so it reads the end of input";

/// The output of one cell.
pub(crate) struct Notebook {
    kernel: Arc<Kernel>,
    parent: Arc<Parent>,
    execution_count: u64,
    silent: bool,
    allow_stdin: bool,
    payload: Mutex<Vec<Payload>>,
    history: Option<Arc<Mutex<History>>>,
}

/// How the client wants a cell treated.
pub(crate) struct Manners {
    /// Publish nothing.
    pub(crate) silent: bool,
    /// The user can be asked.
    pub(crate) allow_stdin: bool,
    /// Where the result is remembered.
    pub(crate) history: Option<Arc<Mutex<History>>>,
}

impl Notebook {
    /// Output under a request.
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        parent: Arc<Parent>,
        execution_count: u64,
        manners: Manners,
    ) -> Self {
        let Manners { silent, allow_stdin, history } = manners;
        Self {
            kernel,
            parent,
            execution_count,
            silent,
            allow_stdin,
            payload: Mutex::default(),
            history,
        }
    }

    /// Number of the cell.
    pub(crate) fn execution_count(&self) -> u64 {
        self.execution_count
    }

    /// The payloads of the reply.
    pub(crate) fn take_payload(&self) -> Vec<Payload> {
        std::mem::take(&mut self.payload.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, broadcast: Broadcast) {
        if !self.silent {
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
            metadata: picture_sizes(rich),
            transient,
            update,
        });
    }
}

impl Frontend for Notebook {
    fn stream(&self, stream: Stream, bytes: &[u8]) {
        if !self.silent {
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
        if let Some(history) = &self.history {
            history.lock().unwrap_or_else(PoisonError::into_inner).set_output(rich.text());
        }
        self.publish(Broadcast::Result {
            data: mime_bundle(rich),
            metadata: picture_sizes(rich),
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
            if !self.allow_stdin {
                // A cell that asks a question ends with an error; one that only reads goes on.
                if prompt.is_empty() {
                    self.display(
                        &Rich::from_block(&Block::Note(Level::Info, NO_INPUT.to_owned())),
                        None,
                    );
                }
                return None;
            }
            // The prompt must not overtake what the cell printed before it.
            self.kernel.iopub().flushed().await;
            self.kernel.questions().ask(&self.parent, prompt, password).await
        })
    }
}
