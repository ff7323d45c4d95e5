//! The shell channel: cells are queued, all other requests are answered at once.
//!
//! Completion and inspection run as separate tasks, so that a running cell does not delay them.
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-shell-router-dealer-channel>

use std::sync::Arc;
use std::time::Duration;

use zeromq::{RouterRecvHalf, SocketRecv, ZmqError};

use super::outbox::Outbox;
use crate::execution_queue::{ExecutionQueue, QueuedCell};
use crate::kernel::Kernel;
use crate::request::Request;
use crate::wire::{Parent, Session};

/// Pause after a failed receive.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Answers requests until the kernel shuts down.
pub(crate) async fn serve(
    mut socket: RouterRecvHalf,
    outbox: Outbox,
    kernel: Arc<Kernel>,
    queue: ExecutionQueue,
) {
    while let Some((parent, request)) = receive(&mut socket, kernel.session(), "shell").await {
        let parent = Arc::new(parent);
        match request {
            Request::Execute(execute) => queue.push(QueuedCell { parent, execute }),
            Request::Complete(_) | Request::Inspect(_) => {
                let (kernel, outbox) = (kernel.clone(), outbox.clone());
                tokio::spawn(async move { kernel.answer(parent, request, &outbox).await });
            }
            _ => kernel.answer(parent, request, &outbox).await,
        }
    }
}

/// Receives the next request of a channel; `None` when the socket is closed. Messages with a wrong
/// signature and repeated messages are logged and dropped.
pub(crate) async fn receive(
    socket: &mut RouterRecvHalf,
    session: &Session,
    channel: &str,
) -> Option<(Parent, Request)> {
    loop {
        let message = match socket.recv().await {
            Ok(message) => message,
            Err(ZmqError::NoMessage) => return None,
            Err(error) => {
                crate::log::line(&format!("{channel}: {error}"));
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
        };
        let incoming = match session.decode(message) {
            Ok(incoming) => incoming,
            Err(error) => {
                crate::log::line(&format!(
                    "{channel}: dropped a message: {}",
                    crate::log::chain(&error)
                ));
                continue;
            }
        };
        let request = Request::parse(&incoming);
        if let Request::Malformed(malformed) = &request {
            crate::log::line(&format!("{channel}: {}", malformed.reason));
        }
        return Some((incoming.parent, request));
    }
}
