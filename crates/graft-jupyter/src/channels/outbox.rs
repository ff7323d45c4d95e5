//! The sending half of a ROUTER socket: a queue, so that sending a reply never blocks on a client.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use zeromq::{RouterSendHalf, SocketSend, ZmqMessage};

use crate::reply::Reply;
use crate::wire::{Parent, Session};

enum Item {
    Message(Box<ZmqMessage>),
    Flushed(oneshot::Sender<()>),
}

/// The sending half of one channel's queue; clones share it.
#[derive(Clone)]
pub(crate) struct Outbox {
    session: Arc<Session>,
    queue: mpsc::UnboundedSender<Item>,
}

impl Outbox {
    /// Starts the task that writes to the socket.
    pub(crate) fn start(mut socket: RouterSendHalf, session: Arc<Session>) -> Self {
        let (queue, mut items) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(item) = items.recv().await {
                match item {
                    Item::Message(message) => {
                        if let Err(error) = socket.send(*message).await {
                            crate::log::line(&format!("cannot send a reply: {error}"));
                        }
                    }
                    Item::Flushed(done) => drop(done.send(())),
                }
            }
        });
        Self { session, queue }
    }

    /// Queues the reply to a request.
    pub(crate) fn send(&self, parent: &Parent, reply: &Reply) {
        match self.session.encode(&parent.identities, &parent.header, reply.msg_type(), reply) {
            // The task runs until the process exits, so sending fails only during exit.
            Ok(message) => drop(self.queue.send(Item::Message(Box::new(message)))),
            Err(error) => {
                crate::log::line(&format!("cannot serialize {}: {error}", reply.msg_type()))
            }
        }
    }

    /// Returns when all messages queued so far have been passed to the socket.
    pub(crate) async fn flushed(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flushed(done)).is_ok() {
            let _ = wait.await;
        }
    }
}
