//! The broadcast channel: one task makes the messages, everybody else puts into its queue.
//!
//! Streams are collected for up to [`COALESCE`] and flushed before anything else goes out, so that each stream and the displays keep
//! their order. A new subscriber is welcomed (JEP 65) when its subscription arrives; it has a queue of its own
//! ([`super::publisher`]), so that one that has stopped reading loses its own output and nobody else's.
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
use crate::reply::{ErrorContent, PictureSize};
use crate::text_stream::TextStreams;
use crate::wire::{Parent, Session};
use graft_frontend::OutputBudget;
use graft_frontend::Stream;

/// How long text of a stream is collected.
const COALESCE: Duration = Duration::from_millis(60);
/// Flushed at once beyond this.
const FLUSH_BYTES: usize = 256 << 10;
/// How long subscribers may take to be sent what waits for them.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);

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
        /// The cell.
        code: String,
        /// Its number.
        execution_count: u64,
    },
    /// `display_data` or `update_display_data`
    Display {
        /// MIME bundle.
        data: BTreeMap<String, Value>,
        /// Always empty.
        metadata: BTreeMap<String, PictureSize>,
        /// The display's name.
        transient: Transient,
        /// Which of the two messages it is.
        #[serde(skip)]
        update: bool,
    },
    /// `execute_result`
    Result {
        /// MIME bundle.
        data: BTreeMap<String, Value>,
        /// Always empty.
        metadata: BTreeMap<String, PictureSize>,
        /// The cell's number.
        execution_count: u64,
    },
    /// `clear_output`
    ClearOutput {
        /// Whether the next output does it.
        wait: bool,
    },
    /// `error`
    Error(ErrorContent),
    /// `comm_close`
    CommClose {
        /// The comm.
        comm_id: String,
        /// Always empty.
        data: BTreeMap<String, String>,
    },
    /// `shutdown_reply`, told to everybody.
    Shutdown {
        /// Always `ok`.
        status: &'static str,
        /// Whether the kernel comes back.
        restart: bool,
    },
    /// `iopub_welcome`
    Welcome {
        /// What the subscriber has subscribed to.
        subscription: String,
    },
}

/// Name of a display.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Transient {
    /// The name; none for a display that is never updated.
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

/// The way into the queue; clone it freely.
#[derive(Clone)]
pub(crate) struct IoPub {
    queue: mpsc::UnboundedSender<Item>,
    welcomed: watch::Receiver<bool>,
    budget: OutputBudget,
    subscribers: Subscribers,
}

impl IoPub {
    /// Starts the task that makes the messages.
    pub(crate) fn start(socket: Publisher, session: Arc<Session>, budget: OutputBudget) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        let (welcomed_sender, welcomed) = watch::channel(false);
        let (subscribers, subscriptions) = socket.into_parts();
        let owner = Owner {
            subscribers: subscribers.clone(),
            session,
            streams: TextStreams::default(),
            parent: Arc::new(Parent::default()),
            welcomed_sender,
            has_answered: false,
            budget: budget.clone(),
        };
        tokio::spawn(owner.run(items, subscriptions));
        Self { queue, welcomed, budget, subscribers }
    }

    /// Publishes under a request.
    pub(crate) fn send(&self, parent: &Arc<Parent>, broadcast: Broadcast) {
        // The task lives as long as the process: a closed queue means that the process ends.
        let _ = self.queue.send(Item::Message(parent.clone(), Box::new(broadcast)));
    }

    /// `busy` or `idle` under a request.
    pub(crate) fn status(&self, parent: &Arc<Parent>, execution_state: &'static str) {
        self.send(parent, Broadcast::Status { execution_state });
    }

    /// Text of a stream under a request.
    pub(crate) fn text(&self, parent: &Arc<Parent>, stream: Stream, bytes: &[u8]) {
        let _ =
            self.queue.send(Item::Text(parent.clone(), stream, self.budget.track(bytes.to_vec())));
    }

    /// Waits until everything queued so far was sent to those who read.
    pub(crate) async fn flushed(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flushed(done)).is_ok() {
            let _ = wait.await;
        }
        self.subscribers.flushed(FLUSH_LIMIT).await;
    }

    /// Waits until the first subscriber got `starting`, at most `patience`: a client whose first request is faster
    /// than its subscription would miss the answer's `idle`.
    pub(crate) async fn welcomed(&self, patience: Duration) {
        let mut welcomed = self.welcomed.clone();
        let _ = tokio::time::timeout(patience, welcomed.wait_for(|done| *done)).await;
    }
}

/// The task that makes the messages.
struct Owner {
    subscribers: Subscribers,
    session: Arc<Session>,
    streams: TextStreams,
    /// Whose text waits.
    parent: Arc<Parent>,
    welcomed_sender: watch::Sender<bool>,
    /// Whether a request was answered.
    has_answered: bool,
    budget: OutputBudget,
}

impl Owner {
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
                    Some(item) => self.take(item),
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

    fn take(&mut self, item: Item) {
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
                // A request that is answered beside the cell must not cut a character of the cell's in two.
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

    /// Publishes the text that waits.
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

    /// Tells a subscriber what it has missed.
    fn gap(&self, parent: &Parent, missed: usize) -> Option<Arc<Message>> {
        let text = format!(
            "\n[{:.1} MB of output left out: this client had stopped reading]\n",
            missed as f64 / 1e6
        );
        self.message(
            parent,
            "stream",
            &StreamContent { name: "stdout", text: &text },
            Weight::Bytes(0),
        )
    }

    /// Welcomes who has just subscribed. Whoever has seen no answer yet is told that the kernel starts.
    fn welcome(&mut self, subscription: &Subscription) {
        let nobody = Parent::default();
        let mut greetings = vec![Broadcast::Welcome { subscription: subscription.topic.clone() }];
        if !self.has_answered {
            greetings.push(Broadcast::Status { execution_state: "starting" });
        }
        for greeting in greetings {
            if let Some(message) =
                self.message(&nobody, greeting.msg_type(), &greeting, Weight::Bytes(0))
            {
                self.subscribers.send_to(subscription, &message);
            }
        }
        self.welcomed_sender.send_replace(true);
    }

    /// A message to publish.
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
            .inspect_err(|error| crate::log::line(&format!("cannot write {msg_type}: {error}")))
            .ok()?;
        Some(publisher::message(&encoded.into_vec(), weight, &self.budget))
    }
}

impl Broadcast {
    /// About how many bytes it has.
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
