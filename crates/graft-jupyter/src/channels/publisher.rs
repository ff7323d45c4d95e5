//! A PUB socket in which each subscriber has a queue of its own, so that one that has stopped reading loses its own output and nobody
//! else's. What a subscriber misses is counted, and it is told when it reads again.
//!
//! Speaks ZMTP 3.0 with the NULL mechanism over TCP and Unix sockets ([`zmtp`]).
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

/// How long a client may take to introduce itself.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How often it is looked whether a subscriber has stopped reading.
const LOOK: Duration = Duration::from_millis(250);
/// Pause after a connection that could not be accepted, for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A subscription that has just been made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    subscriber: u64,
    /// What topics must begin with.
    pub(crate) topic: String,
}

/// The socket, which already takes subscribers.
pub(crate) struct Publisher {
    subscribers: Subscribers,
    subscriptions: mpsc::UnboundedReceiver<Subscription>,
}

/// Everybody who has introduced themselves; clones share it.
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
    /// Listens on `tcp://HOST:PORT` or `ipc://PATH`.
    pub(crate) async fn bind(endpoint: &str) -> io::Result<Self> {
        let listener = match endpoint.split_once("://") {
            Some(("tcp", address)) => Listener::Tcp(TcpListener::bind(address).await?),
            Some(("ipc", path)) => Listener::Unix(UnixListener::bind(path)?),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("`{endpoint}` begins with neither `tcp://` nor `ipc://`"),
                ));
            }
        };
        let (news, subscriptions) = mpsc::unbounded_channel();
        let subscribers = Subscribers::default();
        tokio::spawn(accept(listener, subscribers.clone(), news));
        let watched = subscribers.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                watched
                    .lock()
                    .iter()
                    .for_each(|subscriber| subscriber.queue.leave_out_if_stalled());
            }
        });
        Ok(Self { subscribers, subscriptions })
    }

    /// Who has subscribed, and the subscriptions, also those that have been made already.
    pub(crate) fn into_parts(self) -> (Subscribers, mpsc::UnboundedReceiver<Subscription>) {
        (self.subscribers, self.subscriptions)
    }
}

impl Subscribers {
    /// Queues a message for everybody who has subscribed to its topic. `gap` makes the message for a subscriber that has missed so many bytes.
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

    /// Queues a message for the one that made a subscription.
    pub(crate) fn send_to(&self, subscription: &Subscription, message: &Arc<Message>) {
        if let Some(subscriber) =
            self.lock().iter().find(|subscriber| subscriber.number == subscription.subscriber)
        {
            subscriber.queue.push(message, &|_| None);
        }
    }

    /// Returns when everything that was queued so far has been handed to the system, for all that still read, or when `limit` has passed.
    pub(crate) async fn flushed(&self, limit: Duration) {
        let begin = tokio::time::Instant::now();
        while begin.elapsed() < limit
            && self.lock().iter().any(|subscriber| !subscriber.queue.is_empty())
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
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
    news: mpsc::UnboundedSender<Subscription>,
) {
    loop {
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                // Without it a small message may wait for the answer to the one before; that it cannot be set is no reason to refuse.
                let _ = stream.set_nodelay(true);
                let (reader, writer) = stream.into_split();
                tokio::spawn(serve(reader, writer, subscribers.clone(), news.clone()));
            }),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let (reader, writer) = stream.into_split();
                tokio::spawn(serve(reader, writer, subscribers.clone(), news.clone()));
            }),
        };
        if let Err(error) = accepted {
            crate::log::line(&format!("iopub: {error}"));
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }
}

/// One client, from its introduction to its end.
async fn serve(
    mut reader: impl AsyncRead + Unpin + Send + 'static,
    mut writer: impl AsyncWrite + Unpin + Send + 'static,
    subscribers: Subscribers,
    news: mpsc::UnboundedSender<Subscription>,
) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    match tokio::time::timeout(INTRODUCTION, zmtp::introduce(&mut reader, &mut writer)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return crate::log::line(&format!("iopub: a client was refused: {error}"));
        }
        Err(_) => return crate::log::line("iopub: a client did not introduce itself"),
    }
    let subscriber = Arc::new(Subscriber {
        number: NEXT.fetch_add(1, Ordering::Relaxed),
        topics: Mutex::default(),
        queue: Queue::default(),
    });
    subscribers.lock().push(subscriber.clone());
    let sent = subscriber.clone();
    tokio::select! {
        _ = listen(&mut reader, &subscriber, &news) => {}
        _ = async { sent.queue.drain(&mut writer).await } => {}
    }
    subscribers.lock().retain(|other| other.number != subscriber.number);
    let _ = writer.shutdown().await;
}

/// Takes subscriptions until the client leaves.
async fn listen(
    reader: &mut (impl AsyncRead + Unpin),
    subscriber: &Subscriber,
    news: &mpsc::UnboundedSender<Subscription>,
) -> io::Result<()> {
    loop {
        let incoming = zmtp::receive(reader).await?;
        let mut topics = subscriber.topics.lock().unwrap_or_else(PoisonError::into_inner);
        match incoming {
            Incoming::Subscribe(topic) => {
                topics.push(topic.clone());
                let topic = String::from_utf8_lossy(&topic).into_owned();
                let _ = news.send(Subscription { subscriber: subscriber.number, topic });
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

/// A message of several frames, whose first is its topic; its output counts in `budget` until the last subscriber has it.
pub(crate) fn message(frames: &[Bytes], weight: Weight, budget: &OutputBudget) -> Arc<Message> {
    Arc::new(Message::new(frames, weight, budget.track_as(Vec::new(), weight.bytes())))
}

#[cfg(test)]
mod tests;
