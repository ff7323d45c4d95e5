//! What one subscriber has not been sent yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::zmtp;

/// A subscriber that takes nothing for that long has stopped reading.
const PATIENCE: Duration = Duration::from_secs(4);
/// Less than this may wait for it all the same.
const LITTLE: usize = 1 << 20;
/// More than this waits for nobody.
const MOST: usize = 256 << 20;

/// What a subscriber loses that does not get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// So many bytes of output. A message without any is never left out.
    Bytes(usize),
    /// The end of a request, which is never left out. A subscriber that has missed something is told before it.
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

/// A message as it goes over the wire, shared by everybody to whom it goes.
pub(crate) struct Message {
    topic: Bytes,
    wire: Vec<u8>,
    weight: Weight,
    /// Counts the output as being on its way as long as the message lives.
    _load: Bytes,
}

/// The messages that wait for one subscriber.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    news: Notify,
}

struct Waiting {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// When the subscriber last took something, or had nothing to take.
    progress: Instant,
    /// Whether it has stopped reading.
    stalled: bool,
    /// Bytes of output that it has missed and has not been told of.
    missed: usize,
}

impl Default for Waiting {
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
    /// A message of several frames, whose first is its topic.
    pub(super) fn new(frames: &[Bytes], weight: Weight, load: Bytes) -> Self {
        Self {
            topic: frames.first().cloned().unwrap_or_default(),
            wire: zmtp::message(frames),
            weight,
            _load: load,
        }
    }

    /// The answer to a ping.
    pub(super) fn pong(context: &[u8]) -> Self {
        Self {
            topic: Bytes::new(),
            wire: zmtp::pong(context),
            weight: Weight::Bytes(0),
            _load: Bytes::new(),
        }
    }

    /// What subscriptions are compared with.
    pub(super) fn topic(&self) -> &[u8] {
        &self.topic
    }
}

impl Queue {
    /// Adds a message, or counts it as missed by a subscriber that has stopped reading. `gap` makes the message that tells so many missed bytes.
    pub(super) fn push(&self, message: &Arc<Message>, gap: &dyn Fn(usize) -> Option<Arc<Message>>) {
        let mut waiting = self.lock();
        waiting.leave_out_if_stalled(Instant::now());
        if waiting.stalled && message.weight.bytes() > 0 {
            waiting.missed += message.weight.bytes();
            return;
        }
        if waiting.missed > 0
            && message.weight != Weight::Bytes(0)
            && let Some(gap) = gap(std::mem::take(&mut waiting.missed))
        {
            waiting.add(gap);
        }
        waiting.add(message.clone());
        drop(waiting);
        self.news.notify_one();
    }

    /// Lets a subscriber that has stopped reading miss the output that waits for it.
    pub(super) fn leave_out_if_stalled(&self) {
        self.lock().leave_out_if_stalled(Instant::now());
    }

    /// Whether nothing waits, or nobody will take it.
    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.messages.is_empty() || waiting.stalled
    }

    /// Sends what waits, until the subscriber has gone.
    pub(super) async fn drain(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        loop {
            let Some(message) = self.first() else {
                self.news.notified().await;
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

    /// The message to send next; it stays in the queue until it has been sent, so that it counts as waiting.
    fn first(&self) -> Option<Arc<Message>> {
        let mut waiting = self.lock();
        if waiting.messages.is_empty() {
            waiting.progress = Instant::now();
            waiting.stalled = false;
        }
        waiting.messages.front().cloned()
    }

    fn sent(&self, message: &Arc<Message>) {
        let mut waiting = self.lock();
        // It may have been left out while it was being sent.
        if waiting.messages.front().is_some_and(|first| Arc::ptr_eq(first, message)) {
            waiting.messages.pop_front();
            waiting.bytes = waiting.bytes.saturating_sub(message.wire.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, message: Arc<Message>) {
        if self.messages.is_empty() {
            self.progress = Instant::now();
        }
        self.bytes += message.wire.len();
        self.messages.push_back(message);
    }

    fn leave_out_if_stalled(&mut self, now: Instant) {
        let has_stopped = self.bytes > LITTLE && now.duration_since(self.progress) > PATIENCE;
        if !has_stopped && self.bytes <= MOST {
            return;
        }
        self.stalled = true;
        let mut missed = 0;
        let mut index = 0;
        self.messages.retain(|message| {
            // The first may have been sent in part.
            let stays = index == 0 || message.weight.bytes() == 0;
            index += 1;
            missed += if stays { 0 } else { message.weight.bytes() };
            stays
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
        let mut waiting = queue.lock();
        waiting.bytes += LITTLE;
        waiting.progress = Instant::now() - PATIENCE * 2;
    }

    #[test]
    fn one_that_has_stopped_reading_misses_output_and_keeps_the_rest() {
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
        assert!(queue.is_empty(), "nobody waits for it");
    }

    #[tokio::test]
    async fn one_that_reads_again_gets_output_again_and_is_told_what_it_has_missed() {
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
    fn a_slow_one_misses_nothing_while_it_reads() {
        let queue = Queue::default();
        queue.push(&message("first", 5), &gap);
        queue.lock().bytes += 10 * LITTLE;
        queue.push(&message("second", 6), &gap);
        assert_eq!(topics(&queue), ["first", "second"]);
    }
}
