//! The sending half of a ROUTER socket: a queue, so that whoever answers never waits for a client.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use zeromq::{RouterSendHalf, SocketSend, ZmqMessage};

use crate::reply::Reply;
use crate::wire::{Parent, Session};

enum Item {
    Message(Box<ZmqMessage>),
    Flushed(oneshot::Sender<()>),
}

/// The way into the queue of one channel; clone it freely.
#[derive(Clone)]
pub(crate) struct Outbox {
    session: Arc<Session>,
    queue: mpsc::UnboundedSender<Item>,
}

impl Outbox {
    /// Starts the task that sends.
    pub(crate) fn start(mut socket: RouterSendHalf, session: Arc<Session>) -> Self {
        let (queue, mut items) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(item) = items.recv().await {
                match item {
                    Item::Message(message) => {
                        if let Err(error) = socket.send(*message).await {
                            crate::log::line(&format!("cannot deliver a reply: {error}"));
                        }
                    }
                    Item::Flushed(done) => drop(done.send(())),
                }
            }
        });
        Self { session, queue }
    }

    /// Answers a request.
    pub(crate) fn send(&self, parent: &Parent, reply: &Reply) {
        match self.session.encode(&parent.identities, &parent.header, reply.msg_type(), reply) {
            // The task lives as long as the process: a closed queue means that the process ends.
            Ok(message) => drop(self.queue.send(Item::Message(Box::new(message)))),
            Err(error) => crate::log::line(&format!("cannot write {}: {error}", reply.msg_type())),
        }
    }

    /// Waits until everything queued so far was given to the socket.
    pub(crate) async fn flushed(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flushed(done)).is_ok() {
            let _ = wait.await;
        }
    }
}
