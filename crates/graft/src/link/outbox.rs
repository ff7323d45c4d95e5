//! What waits to be written to the host.
//!
//! Pushing never blocks. When the host reads slowly, what is only for the eye is thinned: pieces of text are joined, progress and
//! snapshots give way to their successors, and beyond [`CROWDED`] waiting messages a training step replaces the step before it
//! (the run's ledger on disk has them all). Replies, validations, notes and displays are never dropped.

use std::{
    collections::VecDeque,
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use graft_protocol::{Event, FromChild};

/// Waiting messages from which on steps are thinned: several seconds of the fastest training.
const CROWDED: usize = 256;

/// A queue with one writer behind it.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<FromChild>,
    closed: bool,
}

impl Outbox {
    /// Queues a message.
    pub(super) fn push(&self, message: FromChild) {
        let mut waiting = self.lock();
        if !waiting.closed {
            waiting.merge(message);
            self.news.notify_one();
        }
    }

    /// Lets [`Outbox::drain`] end when it has written what waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Writes messages as they come until the queue is closed or a write fails; then nothing is queued any more.
    pub(super) fn drain(&self, mut write: impl FnMut(&FromChild) -> io::Result<()>) {
        while let Some(message) = self.next() {
            if write(&message).is_err() {
                break;
            }
        }
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.messages.clear();
    }

    fn next(&self) -> Option<FromChild> {
        let mut waiting = self.lock();
        loop {
            if let Some(message) = waiting.messages.pop_front() {
                return Some(message);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.news.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn merge(&mut self, message: FromChild) {
        let crowded = self.messages.len() >= CROWDED;
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
            ) if crowded && *last == request => *step = next,
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
    fn a_million_steps_that_nobody_reads_take_little_room_and_keep_the_latest_and_the_reply() {
        let outbox = Outbox::default();
        (1..=1_000_000).for_each(|number| outbox.push(step(number)));
        outbox.push(FromChild::Reply { id: 1, result: Ok(Reply::default()) });
        let messages = drained(&outbox);
        assert_eq!(messages.len(), CROWDED + 1);
        assert_eq!(messages[CROWDED - 1], step(1_000_000));
    }

    #[test]
    fn text_is_joined_and_snapshots_give_way_to_the_next() {
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
    fn after_a_failed_write_pushing_is_free() {
        let outbox = Outbox::default();
        outbox.push(step(1));
        outbox.drain(|_| Err(io::ErrorKind::BrokenPipe.into()));
        outbox.push(step(2));
        assert!(outbox.lock().messages.is_empty());
    }
}
