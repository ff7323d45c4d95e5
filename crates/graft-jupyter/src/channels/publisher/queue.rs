//! The queue of messages of one subscriber.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::zmtp;

/// A subscriber that takes nothing for this long counts as stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(4);
/// Queues smaller than this are never dropped.
const MIN_STALLED_BYTES: usize = 1 << 20;
/// Queues larger than this are dropped at once.
const MAX_QUEUED_BYTES: usize = 256 << 20;

/// How much output a message carries, and so how much a subscriber loses if it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// This many bytes of output. A message without output is never dropped.
    Bytes(usize),
    /// The end of a request; never dropped. Missed output is reported before it.
    End,
}

impl Weight {
    /// Bytes of output.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::End => 0,
        }
    }
}

/// An encoded message, shared by the queues of all its subscribers.
pub(crate) struct Message {
    topic: Bytes,
    wire: Vec<u8>,
    weight: Weight,
    /// Tracks the output as in flight while the message lives.
    _tracked: Bytes,
}

/// The messages queued for one subscriber.
#[derive(Default)]
pub(super) struct Queue {
    queued: Mutex<Queued>,
    added: Notify,
}

struct Queued {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// When the subscriber last took a message, or the queue was empty.
    progress: Instant,
    /// Whether the subscriber has stopped reading.
    stalled: bool,
    /// Bytes of dropped output that have not been reported yet.
    missed: usize,
}

impl Default for Queued {
    fn default() -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            progress: Instant::now(),
            stalled: false,
            missed: 0,
        }
    }
}

impl Message {
    /// A message of several frames, the first of which is its topic.
    pub(super) fn new(frames: &[Bytes], weight: Weight, tracked: Bytes) -> Self {
        Self {
            topic: frames.first().cloned().unwrap_or_default(),
            wire: zmtp::message(frames),
            weight,
            _tracked: tracked,
        }
    }

    /// The reply to a PING.
    pub(super) fn pong(context: &[u8]) -> Self {
        Self {
            topic: Bytes::new(),
            wire: zmtp::pong(context),
            weight: Weight::Bytes(0),
            _tracked: Bytes::new(),
        }
    }

    /// The topic, which subscriptions match by prefix.
    pub(super) fn topic(&self) -> &[u8] {
        &self.topic
    }
}

impl Queue {
    /// Adds a message, or counts it as missed if the subscriber has stopped reading. `gap` builds
    /// the message that reports the missed bytes.
    pub(super) fn push(&self, message: &Arc<Message>, gap: &dyn Fn(usize) -> Option<Arc<Message>>) {
        let mut queued = self.lock();
        queued.drop_if_stalled(Instant::now());
        if queued.stalled && message.weight.bytes() > 0 {
            queued.missed += message.weight.bytes();
            return;
        }
        if queued.missed > 0
            && message.weight != Weight::Bytes(0)
            && let Some(gap) = gap(std::mem::take(&mut queued.missed))
        {
            queued.add(gap);
        }
        queued.add(message.clone());
        drop(queued);
        self.added.notify_one();
    }

    /// Drops the queued output if the subscriber has stopped reading.
    pub(super) fn drop_if_stalled(&self) {
        self.lock().drop_if_stalled(Instant::now());
    }

    /// Whether the queue is empty or its subscriber has stopped reading.
    pub(super) fn is_empty(&self) -> bool {
        let queued = self.lock();
        queued.messages.is_empty() || queued.stalled
    }

    /// Sends messages until the subscriber disconnects.
    pub(super) async fn drain(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        loop {
            let Some(message) = self.first() else {
                self.added.notified().await;
                continue;
            };
            let mut rest = &message.wire[..];
            while !rest.is_empty() {
                let count = writer.write(rest).await?;
                if count == 0 {
                    return Ok(());
                }
                rest = rest.get(count..).unwrap_or_default();
                self.lock().progress = Instant::now();
            }
            self.sent(&message);
        }
    }

    /// The next message to send; it stays in the queue until it has been sent, so that it is
    /// counted.
    fn first(&self) -> Option<Arc<Message>> {
        let mut queued = self.lock();
        if queued.messages.is_empty() {
            queued.progress = Instant::now();
            queued.stalled = false;
        }
        queued.messages.front().cloned()
    }

    fn sent(&self, message: &Arc<Message>) {
        let mut queued = self.lock();
        // It may have been dropped while it was being sent.
        if queued.messages.front().is_some_and(|first| Arc::ptr_eq(first, message)) {
            queued.messages.pop_front();
            queued.bytes = queued.bytes.saturating_sub(message.wire.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queued {
    fn add(&mut self, message: Arc<Message>) {
        if self.messages.is_empty() {
            self.progress = Instant::now();
        }
        self.bytes += message.wire.len();
        self.messages.push_back(message);
    }

    fn drop_if_stalled(&mut self, now: Instant) {
        let has_stopped =
            self.bytes > MIN_STALLED_BYTES && now.duration_since(self.progress) > STALL_TIMEOUT;
        if !has_stopped && self.bytes <= MAX_QUEUED_BYTES {
            return;
        }
        self.stalled = true;
        let mut missed = 0;
        let mut index = 0;
        self.messages.retain(|message| {
            // The first message may have been sent in part.
            let is_kept = index == 0 || message.weight.bytes() == 0;
            index += 1;
            missed += if is_kept { 0 } else { message.weight.bytes() };
            is_kept
        });
        self.missed += missed;
        self.bytes = self.messages.iter().map(|message| message.wire.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, weight: usize) -> Arc<Message> {
        Arc::new(Message::new(
            &[Bytes::copy_from_slice(text.as_bytes())],
            Weight::Bytes(weight),
            Bytes::new(),
        ))
    }

    fn gap(bytes: usize) -> Option<Arc<Message>> {
        Some(message(&format!("missed {bytes}"), 0))
    }

    fn topics(queue: &Queue) -> Vec<String> {
        queue
            .lock()
            .messages
            .iter()
            .map(|message| String::from_utf8_lossy(message.topic()).into_owned())
            .collect()
    }

    fn stall(queue: &Queue) {
        let mut queued = queue.lock();
        queued.bytes += MIN_STALLED_BYTES;
        queued.progress = Instant::now() - STALL_TIMEOUT * 2;
    }

    #[test]
    fn a_stalled_subscriber_misses_output_and_keeps_the_rest() {
        let queue = Queue::default();
        for (text, weight) in [("first", 5), ("busy", 0), ("second", 6)] {
            queue.push(&message(text, weight), &gap);
        }
        stall(&queue);
        queue.push(&message("third", 7), &gap);
        assert_eq!(topics(&queue), ["first", "busy"]);
        queue.push(
            &Arc::new(Message::new(&[Bytes::from_static(b"idle")], Weight::End, Bytes::new())),
            &gap,
        );
        assert_eq!(topics(&queue), ["first", "busy", "missed 13", "idle"]);
        assert!(queue.is_empty(), "a stalled queue does not delay a flush");
    }

    #[tokio::test]
    async fn a_subscriber_that_reads_again_receives_a_report_of_what_it_missed() {
        let queue = Queue::default();
        queue.push(&message("first", 5), &gap);
        stall(&queue);
        queue.push(&message("second", 6), &gap);
        let mut read = Vec::new();
        let _ = tokio::time::timeout(Duration::from_millis(50), queue.drain(&mut read)).await;
        queue.push(&message("third", 5), &gap);
        let _ = tokio::time::timeout(Duration::from_millis(50), queue.drain(&mut read)).await;
        let text = String::from_utf8_lossy(&read).into_owned();
        assert_eq!(
            text.split(|byte: char| byte.is_control())
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>(),
            ["first", "missed 6", "third"]
        );
    }

    #[test]
    fn a_slow_subscriber_misses_nothing_while_it_reads() {
        let queue = Queue::default();
        queue.push(&message("first", 5), &gap);
        queue.lock().bytes += 10 * MIN_STALLED_BYTES;
        queue.push(&message("second", 6), &gap);
        assert_eq!(topics(&queue), ["first", "second"]);
    }
}
