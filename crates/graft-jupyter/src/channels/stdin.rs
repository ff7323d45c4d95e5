//! The stdin channel, on which the kernel sends input requests to the client.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-stdin-router-dealer-channel>

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use zeromq::RouterRecvHalf;

use super::outbox::Outbox;
use crate::reply::Reply;
use crate::request::Request;
use crate::wire::{Parent, Session};

/// Sends input requests to the client whose cell is running, one at a time.
#[derive(Clone)]
pub(crate) struct StdinRequests {
    outbox: Outbox,
    pending: Arc<Mutex<Option<oneshot::Sender<String>>>>,
}

impl StdinRequests {
    /// Starts the task that receives the replies.
    pub(crate) fn start(socket: RouterRecvHalf, outbox: Outbox, session: Arc<Session>) -> Self {
        let pending = Arc::new(Mutex::new(None));
        tokio::spawn(receive(socket, session, pending.clone()));
        Self { outbox, pending }
    }

    /// Asks for a line of input; `None` if the cell is interrupted before the reply arrives.
    pub(crate) async fn ask(
        &self,
        parent: &Parent,
        prompt: &str,
        password: bool,
    ) -> Option<String> {
        let (answer, wait) = oneshot::channel();
        self.set(Some(answer));
        self.outbox.send(parent, &Reply::InputRequest { prompt: prompt.to_owned(), password });
        wait.await.ok()
    }

    /// Cancels the current request.
    pub(crate) fn cancel(&self) {
        self.set(None);
    }

    fn set(&self, answer: Option<oneshot::Sender<String>>) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

async fn receive(
    mut socket: RouterRecvHalf,
    session: Arc<Session>,
    pending: Arc<Mutex<Option<oneshot::Sender<String>>>>,
) {
    loop {
        let Some((_, request)) = super::shell::receive(&mut socket, &session, "stdin").await else {
            return;
        };
        let Request::InputReply(reply) = request else { continue };
        let answer = pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            // The cell may have been interrupted in the meantime.
            let _ = answer.send(reply.value);
        }
    }
}
