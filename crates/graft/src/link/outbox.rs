//! The queue of messages to the host.
//!
//! Pushing never blocks. If the host reads slowly, display-only messages are merged: pieces of text
//! are joined, progress and snapshots are replaced by newer ones, and with more than
//! [`MERGE_STEPS_ABOVE`] queued messages each training step replaces the step before it (the ledger
//! on disk has them all). Replies, validations, notes and displays are never dropped.

use std::{
    collections::VecDeque,
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use graft_protocol::{Event, FromChild};

/// Number of queued messages above which steps are merged: several seconds of the fastest training.
const MERGE_STEPS_ABOVE: usize = 256;

/// A queue with one reader, the thread that writes to the socket.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<FromChild>,
    closed: bool,
}

impl Outbox {
    /// Queues a message.
    pub(super) fn push(&self, message: FromChild) {
        let mut queue = self.lock();
        if !queue.closed {
            queue.merge(message);
            self.changed.notify_one();
        }
    }

    /// Lets [`Outbox::drain`] return after it has written the queued messages.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Writes messages until the queue is closed or a write fails. Later messages are discarded.
    pub(super) fn drain(&self, mut write: impl FnMut(&FromChild) -> io::Result<()>) {
        while let Some(message) = self.next() {
            if write(&message).is_err() {
                break;
            }
        }
        let mut queue = self.lock();
        queue.closed = true;
        queue.messages.clear();
    }

    fn next(&self) -> Option<FromChild> {
        let mut queue = self.lock();
        loop {
            if let Some(message) = queue.messages.pop_front() {
                return Some(message);
            }
            if queue.closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn merge(&mut self, message: FromChild) {
        let is_long = self.messages.len() >= MERGE_STEPS_ABOVE;
        match (self.messages.back_mut(), message) {
            (
                Some(FromChild::Event { request: last, event: Event::Text(text) }),
                FromChild::Event { request, event: Event::Text(more) },
            ) if *last == request => text.push_str(&more),
            (
                Some(FromChild::Event {
                    request: last,
                    event: last_event @ Event::Progress { .. },
                }),
                FromChild::Event { request, event: event @ Event::Progress { .. } },
            ) if *last == request => *last_event = event,
            (
                Some(FromChild::Event { request: last, event: Event::Step(step) }),
                FromChild::Event { request, event: Event::Step(next) },
            ) if is_long && *last == request => *step = next,
            (Some(FromChild::Snapshot(last)), FromChild::Snapshot(next)) => *last = next,
            (_, message) => self.messages.push_back(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use graft_protocol::{Reply, Snapshot, StepRecord};

    use super::*;

    fn step(number: u64) -> FromChild {
        let record = StepRecord {
            step: number,
            loss: 1.0,
            lr: 1e-3,
            grad_norm: 1.0,
            tokens_per_second: 1.0,
            elapsed_seconds: 1.0,
            rewards: None,
        };
        FromChild::Event { request: Some(1), event: Event::Step(record) }
    }

    fn drained(outbox: &Outbox) -> Vec<FromChild> {
        outbox.close();
        let mut messages = Vec::new();
        outbox.drain(|message| {
            messages.push(message.clone());
            Ok(())
        });
        messages
    }

    #[test]
    fn a_million_unread_steps_are_merged_and_the_last_one_and_the_reply_are_kept() {
        let outbox = Outbox::default();
        (1..=1_000_000).for_each(|number| outbox.push(step(number)));
        outbox.push(FromChild::Reply { id: 1, result: Ok(Reply::default()) });
        let messages = drained(&outbox);
        assert_eq!(messages.len(), MERGE_STEPS_ABOVE + 1);
        assert_eq!(messages[MERGE_STEPS_ABOVE - 1], step(1_000_000));
    }

    #[test]
    fn text_is_joined_and_a_snapshot_replaces_the_previous_one() {
        let outbox = Outbox::default();
        for text in ["a", "b"] {
            outbox.push(FromChild::Event { request: None, event: Event::Text(text.to_owned()) });
        }
        for seed in [1, 2] {
            outbox.push(FromChild::Snapshot(Snapshot { seed, ..Snapshot::default() }));
        }
        let text = FromChild::Event { request: None, event: Event::Text("ab".to_owned()) };
        assert_eq!(
            drained(&outbox),
            [text, FromChild::Snapshot(Snapshot { seed: 2, ..Snapshot::default() })]
        );
    }

    #[test]
    fn messages_after_a_failed_write_are_discarded() {
        let outbox = Outbox::default();
        outbox.push(step(1));
        outbox.drain(|_| Err(io::ErrorKind::BrokenPipe.into()));
        outbox.push(step(2));
        assert!(outbox.lock().messages.is_empty());
    }
}
