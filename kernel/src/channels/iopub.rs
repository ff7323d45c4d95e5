//! The broadcast channel: one task owns the socket, everybody else puts into its queue.
//!
//! Streams are collected for up to [`COALESCE`] and flushed before anything else goes out, so that each stream and the
//! displays keep their order. The socket is PUB, not XPUB: zeromq 0.7 gives PUB one queue for each subscriber, while a
//! single client that never reads would freeze an XPUB for all. A new subscriber is welcomed (JEP 65) through the
//! socket's monitor.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-iopub-pub-sub-channel>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use zeromq::{PubSocket, SocketEvent, SocketSend};

use crate::flow::Flow;
use crate::frontend::Stream;
use crate::jupyter::reply::{ErrorContent, PictureSize};
use crate::jupyter::text_stream::TextStreams;
use crate::jupyter::wire::{Parent, Session};

/// How long text of a stream is collected.
const COALESCE: Duration = Duration::from_millis(60);
/// Flushed at once beyond this.
const FLUSH_BYTES: usize = 256 << 10;
/// Text longer than this is bulk, which a reader can miss.
const BULK: usize = 16 << 10;
/// How much of the end of bulk is published all the same.
const KEPT: usize = 2 << 10;
/// When a new subscriber is welcomed, after its connection: its subscription is a message of its own, which PUB does not report.
const WELCOMES: [Duration; 5] =
    [Duration::from_millis(2), Duration::from_millis(12), Duration::from_millis(62), Duration::from_millis(162), Duration::from_millis(1062)];
/// Which of the welcomes is followed by `starting`.
const STARTING_AFTER: usize = 1;
/// Which repeats it for a subscriber that came late, as long as no other status has gone out.
const STARTING_AGAIN_AFTER: usize = WELCOMES.len() - 1;

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
        /// The subscription; always the empty prefix.
        subscription: &'static str,
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

/// The socket, bound, and what tells who connects to it; made before it was bound, so that it misses nobody.
pub(crate) struct Bound {
    /// The socket.
    pub(crate) socket: PubSocket,
    /// Its monitor.
    pub(crate) monitor: futures::channel::mpsc::Receiver<SocketEvent>,
}

/// The way into the queue; clone it freely.
#[derive(Clone)]
pub(crate) struct IoPub {
    queue: mpsc::UnboundedSender<Item>,
    greeted: watch::Receiver<bool>,
    flow: Flow,
}

impl IoPub {
    /// Starts the task that owns the socket.
    pub(crate) fn start(Bound { socket, monitor }: Bound, session: Arc<Session>, flow: Flow) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        let (greeter, greeted) = watch::channel(false);
        let owner = Owner {
            socket,
            session,
            streams: TextStreams::default(),
            parent: Arc::new(Parent::default()),
            greeter,
            has_answered: false,
            flow: flow.clone(),
            left_out: 0,
        };
        tokio::spawn(owner.run(items, monitor));
        Self { queue, greeted, flow }
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
        let _ = self.queue.send(Item::Text(parent.clone(), stream, self.flow.carry(bytes.to_vec())));
    }

    /// Waits until everything queued so far was given to the socket.
    pub(crate) async fn flushed(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flushed(done)).is_ok() {
            let _ = wait.await;
        }
    }

    /// Waits until the first subscriber got `starting`, at most `patience`: a client whose first request is faster
    /// than its subscription would miss the answer's `idle`.
    pub(crate) async fn greeted(&self, patience: Duration) {
        let mut greeted = self.greeted.clone();
        let _ = tokio::time::timeout(patience, greeted.wait_for(|done| *done)).await;
    }
}

/// The task that owns the socket.
struct Owner {
    socket: PubSocket,
    session: Arc<Session>,
    streams: TextStreams,
    /// Whose text waits.
    parent: Arc<Parent>,
    greeter: watch::Sender<bool>,
    /// Whether a request was answered.
    has_answered: bool,
    flow: Flow,
    /// Bytes of text that were left out because nobody read.
    left_out: usize,
}

impl Owner {
    async fn run(mut self, mut items: mpsc::UnboundedReceiver<Item>, mut monitor: futures::channel::mpsc::Receiver<SocketEvent>) {
        let (greet, mut greetings) = mpsc::unbounded_channel();
        let mut flush_at: Option<tokio::time::Instant> = None;
        loop {
            let flush = tokio::time::sleep_until(flush_at.unwrap_or_else(tokio::time::Instant::now));
            tokio::select! {
                item = items.recv() => match item {
                    Some(item) => self.take(item).await,
                    None => return,
                },
                Some(event) = monitor.next() => if matches!(event, SocketEvent::Accepted(..)) { schedule_welcomes(greet.clone()); },
                Some(number) = greetings.recv() => self.welcome(number).await,
                () = flush, if flush_at.is_some() => self.flush().await,
            }
            flush_at = match flush_at {
                _ if self.streams.is_empty() => None,
                Some(time) => Some(time),
                None => Some(tokio::time::Instant::now() + COALESCE),
            };
        }
    }

    async fn take(&mut self, item: Item) {
        match item {
            Item::Text(parent, stream, bytes) => {
                if !Arc::ptr_eq(&parent, &self.parent) {
                    self.flush().await;
                    self.parent = parent;
                }
                self.streams.push(stream, &bytes);
                if self.streams.len() > FLUSH_BYTES {
                    self.flush().await;
                }
            }
            Item::Message(parent, broadcast) => {
                let is_idle = matches!(*broadcast, Broadcast::Status { execution_state: "idle" });
                // A request that is answered beside the cell must not cut a character of the cell's in two.
                if is_idle && Arc::ptr_eq(&parent, &self.parent) {
                    self.streams.close();
                }
                self.has_answered |= is_idle;
                self.flush().await;
                if is_idle && self.left_out > 0 {
                    let text = self.gap();
                    self.publish(&parent, "stream", &StreamContent { name: "stdout", text: &text }, 0).await;
                }
                let is_passing = matches!(*broadcast, Broadcast::Display { update: true, .. });
                if !(is_passing && self.flow.is_stuck()) {
                    let weight = broadcast.weight();
                    self.publish(&parent, broadcast.msg_type(), &*broadcast, weight).await;
                }
            }
            Item::Flushed(done) => {
                self.flush().await;
                let _ = done.send(());
            }
        }
    }

    /// Publishes the text that waits. While nobody reads, bulk is left out, and its place is marked.
    async fn flush(&mut self) {
        let parent = self.parent.clone();
        let is_stuck = self.flow.is_stuck();
        for (stream, mut text) in self.streams.take() {
            if is_stuck && (text.len() > BULK || self.flow.is_overfull()) {
                // Its end stays, as far as there is room: it may say how the cell ended.
                let cut = if self.flow.is_overfull() { text.len() } else { text.floor_char_boundary(text.len().saturating_sub(KEPT)) };
                self.left_out += cut;
                text.drain(..cut);
            }
            if text.is_empty() {
                continue;
            }
            text.insert_str(0, &self.gap());
            let name = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            self.publish(&parent, "stream", &StreamContent { name, text: &text }, text.len()).await;
        }
    }

    /// Marks the place of text that was left out; empty where none was.
    fn gap(&mut self) -> String {
        match std::mem::take(&mut self.left_out) {
            0 => String::new(),
            bytes => format!("\n[{:.1} MB left out: a client of this kernel has stopped reading]\n", bytes as f64 / 1e6),
        }
    }

    async fn welcome(&mut self, number: usize) {
        let nobody = Parent::default();
        self.publish(&nobody, "iopub_welcome", &Broadcast::Welcome { subscription: "" }, 0).await;
        let is_first = number == STARTING_AFTER && !*self.greeter.borrow();
        if is_first || (number == STARTING_AGAIN_AFTER && !self.has_answered) {
            self.publish(&nobody, "status", &Broadcast::Status { execution_state: "starting" }, 0).await;
            self.greeter.send_replace(true);
        }
    }

    /// Sends to every subscriber; the topic's frame, which lives as long as the message, stands for all its bytes in the count.
    async fn publish<T: Serialize>(&mut self, parent: &Parent, msg_type: &'static str, content: &T, weight: usize) {
        let topic = self.flow.carry_as(format!("kernel.graft.{msg_type}").into_bytes(), weight);
        match self.session.encode(&[topic], &parent.header, msg_type, content) {
            Ok(message) => {
                if let Err(error) = self.socket.send(message).await {
                    crate::log::line(&format!("cannot publish {msg_type}: {error}"));
                }
            }
            Err(error) => crate::log::line(&format!("cannot write {msg_type}: {error}")),
        }
    }
}

fn schedule_welcomes(greet: mpsc::UnboundedSender<usize>) {
    tokio::spawn(async move {
        let connected = tokio::time::Instant::now();
        for (number, delay) in WELCOMES.iter().enumerate() {
            tokio::time::sleep_until(connected + *delay).await;
            let _ = greet.send(number);
        }
    });
}

impl Broadcast {
    /// About how many bytes it has.
    fn weight(&self) -> usize {
        match self {
            Self::Display { data, .. } | Self::Result { data, .. } => data.values().filter_map(Value::as_str).map(str::len).sum(),
            Self::ExecuteInput { code, .. } => code.len(),
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
