//! A PUB socket with one queue per subscriber: a client that stops reading loses only its own
//! output, and receives a report of the loss when it reads again.
//!
//! Implements ZMTP 3.0 with the NULL mechanism over TCP and Unix sockets ([`zmtp`]).
//!
//! Spec: <https://rfc.zeromq.org/spec/23/> and, for PUB, <https://rfc.zeromq.org/spec/29/>

mod queue;
mod zmtp;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use graft_frontend::OutputBudget;
use queue::Queue;
pub(crate) use queue::{Message, Weight};
use zmtp::Incoming;

/// Time limit for the handshake of a client.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often stalled subscribers are detected.
const STALL_CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// Pause after a failed `accept`, for example when file descriptors run out.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// How often the queues are polled for completion.
const FLUSH_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A new subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    subscriber: u64,
    /// Prefix of the topics.
    pub(crate) topic: String,
}

/// The bound socket, which accepts subscribers.
pub(crate) struct Publisher {
    subscribers: Subscribers,
    subscriptions: mpsc::UnboundedReceiver<Subscription>,
}

/// The connected subscribers; clones share the list.
#[derive(Clone, Default)]
pub(crate) struct Subscribers(Arc<Mutex<Vec<Arc<Subscriber>>>>);

struct Subscriber {
    number: u64,
    topics: Mutex<Vec<Vec<u8>>>,
    queue: Queue,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Publisher {
    /// Binds `tcp://HOST:PORT` or `ipc://PATH`.
    pub(crate) async fn bind(endpoint: &str) -> io::Result<Self> {
        let listener = match endpoint.split_once("://") {
            Some(("tcp", address)) => Listener::Tcp(TcpListener::bind(address).await?),
            Some(("ipc", path)) => Listener::Unix(UnixListener::bind(path)?),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("`{endpoint}` starts with neither `tcp://` nor `ipc://`"),
                ));
            }
        };
        let (subscribed, subscriptions) = mpsc::unbounded_channel();
        let subscribers = Subscribers::default();
        tokio::spawn(accept(listener, subscribers.clone(), subscribed));
        let watched = subscribers.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(STALL_CHECK_INTERVAL).await;
                watched.lock().iter().for_each(|subscriber| subscriber.queue.drop_if_stalled());
            }
        });
        Ok(Self { subscribers, subscriptions })
    }

    /// The subscribers and a stream of new subscriptions, including those made before this call.
    pub(crate) fn into_parts(self) -> (Subscribers, mpsc::UnboundedReceiver<Subscription>) {
        (self.subscribers, self.subscriptions)
    }
}

impl Subscribers {
    /// Queues a message for all subscribers of its topic. `gap` builds the message for a subscriber
    /// that has missed that many bytes.
    pub(crate) fn publish(
        &self,
        message: &Arc<Message>,
        gap: &dyn Fn(usize) -> Option<Arc<Message>>,
    ) {
        for subscriber in self.lock().iter().filter(|subscriber| subscriber.wants(message.topic()))
        {
            subscriber.queue.push(message, gap);
        }
    }

    /// Queues a message for the subscriber that made a subscription.
    pub(crate) fn send_to(&self, subscription: &Subscription, message: &Arc<Message>) {
        if let Some(subscriber) =
            self.lock().iter().find(|subscriber| subscriber.number == subscription.subscriber)
        {
            subscriber.queue.push(message, &|_| None);
        }
    }

    /// Returns when all queued messages have been passed to the operating system, or after
    /// `timeout`. Stalled subscribers are ignored.
    pub(crate) async fn flushed(&self, timeout: Duration) {
        let begin = tokio::time::Instant::now();
        while begin.elapsed() < timeout
            && self.lock().iter().any(|subscriber| !subscriber.queue.is_empty())
        {
            tokio::time::sleep(FLUSH_POLL_INTERVAL).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Subscriber>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    fn wants(&self, topic: &[u8]) -> bool {
        self.topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|prefix| topic.starts_with(prefix))
    }
}

async fn accept(
    listener: Listener,
    subscribers: Subscribers,
    subscribed: mpsc::UnboundedSender<Subscription>,
) {
    loop {
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                // Otherwise a small message may wait for the acknowledgement of the previous one.
                // Failure to set it is harmless.
                let _ = stream.set_nodelay(true);
                let (reader, writer) = stream.into_split();
                tokio::spawn(serve(reader, writer, subscribers.clone(), subscribed.clone()));
            }),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let (reader, writer) = stream.into_split();
                tokio::spawn(serve(reader, writer, subscribers.clone(), subscribed.clone()));
            }),
        };
        if let Err(error) = accepted {
            crate::log::line(&format!("iopub: {error}"));
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
        }
    }
}

/// Serves one client until it disconnects.
async fn serve(
    mut reader: impl AsyncRead + Unpin + Send + 'static,
    mut writer: impl AsyncWrite + Unpin + Send + 'static,
    subscribers: Subscribers,
    subscribed: mpsc::UnboundedSender<Subscription>,
) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, zmtp::handshake(&mut reader, &mut writer)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return crate::log::line(&format!("iopub: rejected a client: {error}"));
        }
        Err(_) => return crate::log::line("iopub: rejected a client: handshake timed out"),
    }
    let subscriber = Arc::new(Subscriber {
        number: NEXT.fetch_add(1, Ordering::Relaxed),
        topics: Mutex::default(),
        queue: Queue::default(),
    });
    subscribers.lock().push(subscriber.clone());
    let sent = subscriber.clone();
    tokio::select! {
        _ = listen(&mut reader, &subscriber, &subscribed) => {}
        _ = async { sent.queue.drain(&mut writer).await } => {}
    }
    subscribers.lock().retain(|other| other.number != subscriber.number);
    let _ = writer.shutdown().await;
}

/// Receives subscriptions until the client disconnects.
async fn listen(
    reader: &mut (impl AsyncRead + Unpin),
    subscriber: &Subscriber,
    subscribed: &mpsc::UnboundedSender<Subscription>,
) -> io::Result<()> {
    loop {
        let incoming = zmtp::receive(reader).await?;
        let mut topics = subscriber.topics.lock().unwrap_or_else(PoisonError::into_inner);
        match incoming {
            Incoming::Subscribe(topic) => {
                topics.push(topic.clone());
                let topic = String::from_utf8_lossy(&topic).into_owned();
                let _ = subscribed.send(Subscription { subscriber: subscriber.number, topic });
            }
            Incoming::Cancel(topic) => {
                if let Some(place) = topics.iter().position(|own| *own == topic) {
                    topics.remove(place);
                }
            }
            Incoming::Ping(context) => {
                subscriber.queue.push(&Arc::new(Message::pong(&context)), &|_| None)
            }
            Incoming::Other => {}
        }
    }
}

/// A message of several frames, the first of which is its topic. Its output is tracked in `budget`
/// until the last subscriber has received it.
pub(crate) fn message(frames: &[Bytes], weight: Weight, budget: &OutputBudget) -> Arc<Message> {
    Arc::new(Message::new(frames, weight, budget.track_as(Vec::new(), weight.bytes())))
}

#[cfg(test)]
mod tests;
