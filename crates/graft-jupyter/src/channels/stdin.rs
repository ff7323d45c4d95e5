//! The stdin channel: the only one on which the kernel asks.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-stdin-router-dealer-channel>

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use zeromq::RouterRecvHalf;

use super::outbox::Outbox;
use crate::reply::Reply;
use crate::request::Request;
use crate::wire::{Parent, Session};

/// Asks the user through the client whose cell runs; one question at a time.
#[derive(Clone)]
pub(crate) struct StdinRequests {
    outbox: Outbox,
    waiting: Arc<Mutex<Option<oneshot::Sender<String>>>>,
}

impl StdinRequests {
    /// Starts the task that receives answers.
    pub(crate) fn start(socket: RouterRecvHalf, outbox: Outbox, session: Arc<Session>) -> Self {
        let waiting = Arc::new(Mutex::new(None));
        tokio::spawn(receive(socket, session, waiting.clone()));
        Self { outbox, waiting }
    }

    /// Shows a prompt and waits for the line; none when the cell is interrupted before it comes.
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

    /// Lets the question go unanswered.
    pub(crate) fn cancel(&self) {
        self.set(None);
    }

    fn set(&self, answer: Option<oneshot::Sender<String>>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

async fn receive(
    mut socket: RouterRecvHalf,
    session: Arc<Session>,
    waiting: Arc<Mutex<Option<oneshot::Sender<String>>>>,
) {
    loop {
        let Some((_, request)) = super::shell::receive(&mut socket, &session, "stdin").await else {
            return;
        };
        let Request::InputReply(reply) = request else { continue };
        let answer = waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            // The cell may have been interrupted meanwhile; then nobody waits.
            let _ = answer.send(reply.value);
        }
    }
}
