//! The iopub channel: one task builds the messages that all other tasks put into its queue.
//!
//! Stream text is collected for up to [`COALESCE`] and flushed before any other message, so that
//! streams and displays keep their order. A new subscriber receives a welcome message (JEP 65).
//! Each subscriber has its own queue ([`super::publisher`]): a client that stops reading loses only
//! its own output.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-iopub-pub-sub-channel>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::publisher::{self, Message, Publisher, Subscribers, Subscription, Weight};
use crate::error_content::ErrorContent;
use crate::mime_bundle::ImageSize;
use crate::text_stream::TextStreams;
use crate::wire::{Parent, Session};
use graft_frontend::OutputBudget;
use graft_frontend::Stream;

/// How long stream text is collected.
const COALESCE: Duration = Duration::from_millis(60);
/// Collected text above this size is flushed at once.
const FLUSH_BYTES: usize = 256 << 10;
/// Time limit for sending queued messages to the subscribers.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Content of a broadcast.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Broadcast {
    /// `status`
    Status {
        /// `starting`, `busy` or `idle`.
        execution_state: &'static str,
    },
    /// `execute_input`
    ExecuteInput {
        /// Code of the cell.
        code: String,
        /// Its execution count.
        execution_count: u64,
    },
    /// `display_data` or `update_display_data`
    Display {
        /// MIME bundle.
        data: BTreeMap<String, Value>,
        /// Size of the image, if the bundle has one.
        metadata: BTreeMap<String, ImageSize>,
        /// Identifier of the display.
        transient: Transient,
        /// Whether this is an `update_display_data` message.
        #[serde(skip)]
        update: bool,
    },
    /// `execute_result`
    Result {
        /// MIME bundle.
        data: BTreeMap<String, Value>,
        /// Size of the image, if the bundle has one.
        metadata: BTreeMap<String, ImageSize>,
        /// Execution count of the cell.
        execution_count: u64,
    },
    /// `clear_output`
    ClearOutput {
        /// Whether to clear only when the next output arrives.
        wait: bool,
    },
    /// `error`
    Error(ErrorContent),
    /// `comm_close`
    CommClose {
        /// Identifier of the comm.
        comm_id: String,
        /// Always empty.
        data: BTreeMap<String, String>,
    },
    /// `shutdown_reply`, broadcast to all clients.
    Shutdown {
        /// Always `ok`.
        status: &'static str,
        /// Whether the kernel will be restarted.
        restart: bool,
    },
    /// `iopub_welcome`
    Welcome {
        /// The topic of the subscription.
        subscription: String,
    },
}

/// Identifier of a display.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Transient {
    /// `None` for a display that is never updated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) display_id: Option<String>,
}

#[derive(Serialize)]
struct StreamContent<'a> {
    name: &'a str,
    text: &'a str,
}

enum Item {
    Message(Arc<Parent>, Box<Broadcast>),
    Text(Arc<Parent>, Stream, Bytes),
    Flushed(oneshot::Sender<()>),
}

/// The sending half of the queue; clones share it.
#[derive(Clone)]
pub(crate) struct IoPub {
    queue: mpsc::UnboundedSender<Item>,
    welcomed: watch::Receiver<bool>,
    budget: OutputBudget,
    subscribers: Subscribers,
}

impl IoPub {
    /// Starts the task that builds the messages.
    pub(crate) fn start(socket: Publisher, session: Arc<Session>, budget: OutputBudget) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        let (welcome_sent, welcomed) = watch::channel(false);
        let (subscribers, subscriptions) = socket.into_parts();
        let task = BroadcastTask {
            subscribers: subscribers.clone(),
            session,
            streams: TextStreams::default(),
            parent: Arc::new(Parent::default()),
            welcome_sent,
            has_answered: false,
            budget: budget.clone(),
        };
        tokio::spawn(task.run(items, subscriptions));
        Self { queue, welcomed, budget, subscribers }
    }

    /// Publishes a message whose parent is a request.
    pub(crate) fn send(&self, parent: &Arc<Parent>, broadcast: Broadcast) {
        // The task runs until the process exits, so sending fails only during exit.
        let _ = self.queue.send(Item::Message(parent.clone(), Box::new(broadcast)));
    }

    /// Publishes the status `busy` or `idle` of a request.
    pub(crate) fn status(&self, parent: &Arc<Parent>, execution_state: &'static str) {
        self.send(parent, Broadcast::Status { execution_state });
    }

    /// Publishes text of a stream.
    pub(crate) fn text(&self, parent: &Arc<Parent>, stream: Stream, bytes: &[u8]) {
        let _ =
            self.queue.send(Item::Text(parent.clone(), stream, self.budget.track(bytes.to_vec())));
    }

    /// Returns when all messages queued so far have been sent to the subscribers that still read.
    pub(crate) async fn flushed(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flushed(done)).is_ok() {
            let _ = wait.await;
        }
        self.subscribers.flushed(FLUSH_TIMEOUT).await;
    }

    /// Returns when the first subscriber has received `starting`, or after `timeout`. A client
    /// whose first request arrives before its subscription would otherwise miss the `idle` of the
    /// reply.
    pub(crate) async fn welcomed(&self, timeout: Duration) {
        let mut welcomed = self.welcomed.clone();
        let _ = tokio::time::timeout(timeout, welcomed.wait_for(|done| *done)).await;
    }
}

/// The task that builds the messages.
struct BroadcastTask {
    subscribers: Subscribers,
    session: Arc<Session>,
    streams: TextStreams,
    /// The request that printed the collected text.
    parent: Arc<Parent>,
    welcome_sent: watch::Sender<bool>,
    /// Whether a request has been answered.
    has_answered: bool,
    budget: OutputBudget,
}

impl BroadcastTask {
    async fn run(
        mut self,
        mut items: mpsc::UnboundedReceiver<Item>,
        mut subscriptions: mpsc::UnboundedReceiver<Subscription>,
    ) {
        let mut flush_at: Option<tokio::time::Instant> = None;
        loop {
            let flush =
                tokio::time::sleep_until(flush_at.unwrap_or_else(tokio::time::Instant::now));
            tokio::select! {
                item = items.recv() => match item {
                    Some(item) => self.handle(item),
                    None => return,
                },
                Some(subscription) = subscriptions.recv() => self.welcome(&subscription),
                () = flush, if flush_at.is_some() => self.flush(),
            }
            flush_at = match flush_at {
                _ if self.streams.is_empty() => None,
                Some(time) => Some(time),
                None => Some(tokio::time::Instant::now() + COALESCE),
            };
        }
    }

    fn handle(&mut self, item: Item) {
        match item {
            Item::Text(parent, stream, bytes) => {
                if !Arc::ptr_eq(&parent, &self.parent) {
                    self.flush();
                    self.parent = parent;
                }
                self.streams.push(stream, &bytes);
                if self.streams.len() > FLUSH_BYTES {
                    self.flush();
                }
            }
            Item::Message(parent, broadcast) => {
                let is_idle = matches!(*broadcast, Broadcast::Status { execution_state: "idle" });
                // A reply to another request must not split a character that the cell is printing.
                if is_idle && Arc::ptr_eq(&parent, &self.parent) {
                    self.streams.close();
                }
                self.has_answered |= is_idle;
                self.flush();
                self.publish(&parent, &broadcast);
            }
            Item::Flushed(done) => {
                self.flush();
                let _ = done.send(());
            }
        }
    }

    /// Publishes the collected text.
    fn flush(&mut self) {
        for (stream, text) in self.streams.take().into_iter().filter(|(_, text)| !text.is_empty()) {
            let name = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            let message = self.message(
                &self.parent,
                "stream",
                &StreamContent { name, text: &text },
                Weight::Bytes(text.len()),
            );
            self.send(&self.parent, message);
        }
    }

    fn publish(&self, parent: &Parent, broadcast: &Broadcast) {
        let weight = if matches!(broadcast, Broadcast::Status { execution_state: "idle" }) {
            Weight::End
        } else {
            Weight::Bytes(broadcast.weight())
        };
        let message = self.message(parent, broadcast.msg_type(), broadcast, weight);
        self.send(parent, message);
    }

    fn send(&self, parent: &Parent, message: Option<Arc<Message>>) {
        if let Some(message) = message {
            self.subscribers.publish(&message, &|missed| self.gap(parent, missed));
        }
    }

    /// A message that reports to a subscriber how much output it has missed.
    fn gap(&self, parent: &Parent, missed: usize) -> Option<Arc<Message>> {
        let text = format!(
            "\n[{:.1} MB of output omitted: this client had stopped reading]\n",
            missed as f64 / 1e6
        );
        self.message(
            parent,
            "stream",
            &StreamContent { name: "stdout", text: &text },
            Weight::Bytes(0),
        )
    }

    /// Welcomes a new subscriber, with the status `starting` if no request has been answered yet.
    fn welcome(&mut self, subscription: &Subscription) {
        let no_parent = Parent::default();
        let mut messages = vec![Broadcast::Welcome { subscription: subscription.topic.clone() }];
        if !self.has_answered {
            messages.push(Broadcast::Status { execution_state: "starting" });
        }
        for message in messages {
            if let Some(message) =
                self.message(&no_parent, message.msg_type(), &message, Weight::Bytes(0))
            {
                self.subscribers.send_to(subscription, &message);
            }
        }
        self.welcome_sent.send_replace(true);
    }

    /// Builds a message to publish.
    fn message<T: Serialize>(
        &self,
        parent: &Parent,
        msg_type: &'static str,
        content: &T,
        weight: Weight,
    ) -> Option<Arc<Message>> {
        let topic = Bytes::from(format!("kernel.graft.{msg_type}").into_bytes());
        let encoded = self.session.encode(&[topic], &parent.header, msg_type, content);
        let encoded = encoded
            .inspect_err(|error| crate::log::line(&format!("cannot serialize {msg_type}: {error}")))
            .ok()?;
        Some(publisher::message(&encoded.into_vec(), weight, &self.budget))
    }
}

impl Broadcast {
    /// Approximate size in bytes.
    fn weight(&self) -> usize {
        match self {
            Self::Display { data, .. } | Self::Result { data, .. } => {
                data.values().filter_map(Value::as_str).map(str::len).sum()
            }
            Self::ExecuteInput { code, .. } => code.len(),
            Self::Error(error) => error.weight(),
            _ => 0,
        }
    }

    fn msg_type(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::ExecuteInput { .. } => "execute_input",
            Self::Display { update: false, .. } => "display_data",
            Self::Display { update: true, .. } => "update_display_data",
            Self::Result { .. } => "execute_result",
            Self::ClearOutput { .. } => "clear_output",
            Self::Error(_) => "error",
            Self::CommClose { .. } => "comm_close",
            Self::Shutdown { .. } => "shutdown_reply",
            Self::Welcome { .. } => "iopub_welcome",
        }
    }
}
