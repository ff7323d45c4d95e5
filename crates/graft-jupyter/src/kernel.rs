//! State shared by the channels, and the answers to all requests except cells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graft_frontend::{CellError, Interrupt};
use tokio::sync::watch;

use crate::channels::iopub::{Broadcast, IoPub};
use crate::channels::outbox::Outbox;
use crate::channels::stdin::StdinRequests;
use crate::history::History;
use crate::interpreter::Interpreter;
use crate::reply::{CompleteReply, HistoryReply, InspectReply, Reply};
use crate::request::{Cursor, Malformed, Request, Shutdown};
use crate::wire::{Parent, Session};

/// Time limit for the first iopub subscriber to connect before a request is answered.
pub(crate) const WELCOME_TIMEOUT: Duration = Duration::from_millis(60);

/// State shared by the channels.
pub(crate) struct Kernel {
    parts: Parts,
    running: Mutex<Option<Arc<Parent>>>,
    stop: watch::Sender<bool>,
}

/// Components of a [`Kernel`].
pub(crate) struct Parts {
    /// Signs and numbers messages.
    pub(crate) session: Arc<Session>,
    /// The broadcast channel.
    pub(crate) iopub: IoPub,
    /// The stdin channel.
    pub(crate) stdin: StdinRequests,
    /// Runs the cells.
    pub(crate) interpreter: Arc<dyn Interpreter>,
    /// The stop button.
    pub(crate) interrupt: Interrupt,
    /// The history of executed cells.
    pub(crate) history: Arc<Mutex<History>>,
}

impl Kernel {
    /// A kernel made of these components.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, running: Mutex::default(), stop: watch::channel(false).0 })
    }

    /// Signs and numbers messages.
    pub(crate) fn session(&self) -> &Session {
        &self.parts.session
    }

    /// The broadcast channel.
    pub(crate) fn iopub(&self) -> &IoPub {
        &self.parts.iopub
    }

    /// The stdin channel.
    pub(crate) fn stdin(&self) -> &StdinRequests {
        &self.parts.stdin
    }

    /// Runs the cells.
    pub(crate) fn interpreter(&self) -> &Arc<dyn Interpreter> {
        &self.parts.interpreter
    }

    /// The stop button.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.parts.interrupt
    }

    /// The history of executed cells.
    pub(crate) fn history(&self) -> &Arc<Mutex<History>> {
        &self.parts.history
    }

    /// Returns when a client has requested the shutdown.
    pub(crate) async fn stopped(&self) {
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Publishes that a cell has started.
    pub(crate) fn begin_cell(&self, parent: &Arc<Parent>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.iopub().status(parent, "busy");
        *running = Some(parent.clone());
    }

    /// Publishes that a cell has ended. The lock is held so that this is the last status that a
    /// frontend sees.
    pub(crate) fn end_cell(&self, parent: &Arc<Parent>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = None;
        self.iopub().status(parent, "idle");
    }

    /// Publishes that a request was answered. Frontends show the last status, so a running cell is
    /// reported as busy again.
    fn end_answer(&self, parent: &Arc<Parent>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.iopub().status(parent, "idle");
        if let Some(running) = running.as_ref() {
            self.iopub().status(running, "busy");
        }
    }

    /// Answers any request except a cell, between `busy` and `idle`.
    pub(crate) async fn answer(&self, parent: Arc<Parent>, request: Request, outbox: &Outbox) {
        self.iopub().welcomed(WELCOME_TIMEOUT).await;
        self.iopub().status(&parent, "busy");
        let is_shutdown = matches!(request, Request::Shutdown(_));
        if let Some(reply) = self.reply(&parent, request).await {
            outbox.send(&parent, &reply);
        }
        self.end_answer(&parent);
        if is_shutdown {
            outbox.flushed().await;
            self.stop.send_replace(true);
        }
    }

    /// Interrupts the running cell, cancels its input request and forwards the interrupt to the
    /// interpreter.
    pub(crate) async fn interrupt_cell(&self) {
        self.interrupt().press();
        self.stdin().cancel();
        self.interpreter().interrupt().await;
    }

    async fn reply(&self, parent: &Arc<Parent>, request: Request) -> Option<Reply> {
        Some(match request {
            Request::KernelInfo => Reply::kernel_info(self.interpreter().kernel_info()),
            Request::Complete(cursor) => Reply::Complete(self.complete(&cursor).await),
            Request::Inspect(cursor) => Reply::Inspect(self.inspect(&cursor).await),
            Request::IsComplete(code) => {
                Reply::IsComplete(self.interpreter().is_complete(&code.code).into())
            }
            Request::History(query) => {
                let history =
                    self.history().lock().unwrap_or_else(PoisonError::into_inner).answer(&query);
                Reply::History(HistoryReply { status: "ok", history })
            }
            Request::CommInfo => Reply::CommInfo { status: "ok", comms: BTreeMap::new() },
            Request::CommOpen(comm) => {
                self.iopub().send(
                    parent,
                    Broadcast::CommClose { comm_id: comm.comm_id, data: BTreeMap::new() },
                );
                return None;
            }
            Request::Interrupt => {
                self.interrupt_cell().await;
                Reply::Interrupt { status: "ok" }
            }
            Request::Shutdown(Shutdown { restart }) => {
                self.iopub().send(parent, Broadcast::Shutdown { status: "ok", restart });
                Reply::Shutdown { status: "ok", restart }
            }
            Request::Malformed(malformed) => malformed_reply(malformed)?,
            Request::Execute(_)
            | Request::CommOther
            | Request::InputReply(_)
            | Request::Unknown => return None,
        })
    }

    async fn complete(&self, cursor: &Cursor) -> CompleteReply {
        self.interpreter().complete(&cursor.code, cursor.position()).await.into()
    }

    async fn inspect(&self, cursor: &Cursor) -> InspectReply {
        let (code, detail_level) = (&cursor.code, cursor.detail_level);
        self.interpreter().inspect(code, cursor.position(), detail_level).await.into()
    }
}

/// The error reply to a request that cannot be parsed; `None` if its type has no reply.
fn malformed_reply(malformed: Malformed) -> Option<Reply> {
    let Malformed { reply_type, reason } = malformed;
    let error =
        CellError { ename: "InvalidRequest".to_owned(), evalue: reason, traceback: Vec::new() };
    Some(Reply::Error { msg_type: reply_type?, status: "error", error: (&error).into() })
}
