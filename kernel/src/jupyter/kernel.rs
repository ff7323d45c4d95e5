//! What the channels share, and the answers to everything but cells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::assist;
use super::history::History;
use super::reply::{HistoryReply, Reply};
use super::request::{Malformed, Request, Shutdown};
use super::wire::{Parent, Session};

use crate::channels::iopub::{Broadcast, IoPub};
use crate::channels::outbox::Outbox;
use crate::channels::stdin::Questions;
use crate::launch::Launch;
use graft_frontend::CellError;
use graft_frontend::Interrupt;

/// How long the first request waits for a subscriber of iopub.
const GREETING: Duration = Duration::from_millis(60);

/// The parts that all channels use.
pub(crate) struct Kernel {
    parts: Parts,
    running: Mutex<Option<Arc<Parent>>>,
    stop: watch::Sender<bool>,
}

/// What a kernel is made of.
pub(crate) struct Parts {
    /// Signs and numbers messages.
    pub(crate) session: Arc<Session>,
    /// The broadcast channel.
    pub(crate) iopub: IoPub,
    /// The stdin channel.
    pub(crate) questions: Questions,
    /// The engine.
    pub(crate) launch: Launch,
    /// The stop button.
    pub(crate) interrupt: Interrupt,
    /// The cells that ran.
    pub(crate) history: Arc<Mutex<History>>,
}

impl Kernel {
    /// Puts the parts together.
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
    pub(crate) fn questions(&self) -> &Questions {
        &self.parts.questions
    }

    /// The engine.
    pub(crate) fn launch(&self) -> &Launch {
        &self.parts.launch
    }

    /// The stop button.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.parts.interrupt
    }

    /// The cells that ran.
    pub(crate) fn history(&self) -> &Arc<Mutex<History>> {
        &self.parts.history
    }

    /// Returns when a client has asked the kernel to end.
    pub(crate) async fn stopped(&self) {
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Ends the kernel as if a client had asked.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// The lane begins a cell.
    pub(crate) fn begin_cell(&self, parent: &Arc<Parent>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.iopub().status(parent, "busy");
        *running = Some(parent.clone());
    }

    /// The lane has ended a cell. The status goes out under the lock, so that it is the last that a frontend sees.
    pub(crate) fn end_cell(&self, parent: &Arc<Parent>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = None;
        self.iopub().status(parent, "idle");
    }

    /// Ends the answer to a request. A frontend shows the last status it saw: beside a running cell that must be busy.
    fn end_answer(&self, parent: &Arc<Parent>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.iopub().status(parent, "idle");
        if let Some(running) = running.as_ref() {
            self.iopub().status(running, "busy");
        }
    }

    /// Answers any request but a cell, between `busy` and `idle`.
    pub(crate) async fn answer(&self, parent: Arc<Parent>, request: Request, outbox: &Outbox) {
        self.iopub().greeted(GREETING).await;
        self.iopub().status(&parent, "busy");
        let shutdown = matches!(request, Request::Shutdown(_));
        if let Some(reply) = self.reply(&parent, request).await {
            outbox.send(&parent, &reply);
        }
        self.end_answer(&parent);
        if shutdown {
            outbox.flushed().await;
            self.stop();
        }
    }

    /// The stop button was pressed: the running cell, its question, and the engine are told.
    pub(crate) async fn press_interrupt(&self) {
        self.interrupt().press();
        self.questions().cancel();
        if let Some(engine) = self.launch().peek() {
            engine.interrupt().await;
        }
    }

    async fn reply(&self, parent: &Arc<Parent>, request: Request) -> Option<Reply> {
        Some(match request {
            Request::KernelInfo => Reply::kernel_info(),
            Request::Complete(cursor) => {
                Reply::Complete(assist::complete(self.launch(), &cursor).await)
            }
            Request::Inspect(cursor) => {
                Reply::Inspect(assist::inspect(self.launch(), &cursor).await)
            }
            Request::IsComplete(code) => Reply::IsComplete(assist::is_complete(&code.code)),
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
                self.press_interrupt().await;
                Reply::Interrupt { status: "ok" }
            }
            Request::Shutdown(Shutdown { restart }) => {
                self.iopub().send(parent, Broadcast::Shutdown { status: "ok", restart });
                Reply::Shutdown { status: "ok", restart }
            }
            Request::Malformed(Malformed { reply_type, reason }) => {
                let error = CellError {
                    ename: "InvalidRequest".to_owned(),
                    evalue: reason,
                    traceback: Vec::new(),
                };
                Reply::Error { msg_type: reply_type?, status: "error", error: (&error).into() }
            }
            Request::Execute(_)
            | Request::CommOther
            | Request::InputReply(_)
            | Request::Unknown => return None,
        })
    }
}
