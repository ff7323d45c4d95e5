//! How much output is on its way to the clients, so that a cell that prints without end waits for its readers instead of filling the
//! memory.
//!
//! Every piece of output is counted from the child's pipe to the moment when the socket has written it: the count goes with the
//! bytes and ends with the last copy of them. Who produces waits while too much is on its way. A client that has stopped reading
//! altogether (a suspended terminal) misses its output, which is then no longer on its way ([`crate::channels::publisher`]); readers
//! that do not move for longer than that takes are not waited for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

/// Producers wait beyond this.
const MOST_BYTES: usize = 32 << 20;
/// How long readers may stand still.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a waiting task looks.
const LOOK: Duration = Duration::from_millis(5);

/// The count; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Without any progress for that long nobody reads.
    patience: Duration,
    bytes: AtomicUsize,
    stuck: AtomicBool,
    lock: Mutex<()>,
    less: Condvar,
}

/// Bytes that are counted as long as they live.
struct Load {
    bytes: Vec<u8>,
    weight: usize,
    flow: Flow,
}

impl AsRef<[u8]> for Load {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.flow.subtract(self.weight);
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

impl Flow {
    fn with_patience(patience: Duration) -> Self {
        let shared = Shared {
            patience,
            bytes: AtomicUsize::new(0),
            stuck: AtomicBool::new(false),
            lock: Mutex::default(),
            less: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The same bytes, counted until their last copy is dropped.
    pub(crate) fn carry(&self, bytes: Vec<u8>) -> Bytes {
        let weight = bytes.len();
        self.carry_as(bytes, weight)
    }

    /// The same, counted as `weight`: the small part of a message that stands for the whole.
    pub(crate) fn carry_as(&self, bytes: Vec<u8>, weight: usize) -> Bytes {
        self.shared.bytes.fetch_add(weight, Ordering::AcqRel);
        Bytes::from_owner(Load { bytes, weight, flow: self.clone() })
    }

    /// Whether nobody seems to read.
    pub(crate) fn is_stuck(&self) -> bool {
        self.shared.stuck.load(Ordering::Acquire)
    }

    /// Blocks while too much is on its way, but not for readers that are stuck.
    pub(crate) fn wait(&self) {
        while self.is_full() {
            let before = self.bytes();
            let guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.shared.less.wait_timeout_while(guard, self.shared.patience, |()| {
                self.bytes() >= before && self.is_full()
            });
            if waited.is_ok_and(|(_, timeout)| timeout.timed_out()) {
                self.shared.stuck.store(true, Ordering::Release);
            }
        }
    }

    /// The same for a task.
    pub(crate) async fn room(&self) {
        let (mut before, mut since) = (self.bytes(), tokio::time::Instant::now());
        while self.is_full() {
            tokio::time::sleep(LOOK).await;
            if self.bytes() < before {
                (before, since) = (self.bytes(), tokio::time::Instant::now());
            } else if since.elapsed() > self.shared.patience {
                self.shared.stuck.store(true, Ordering::Release);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.bytes() > MOST_BYTES && !self.is_stuck()
    }

    fn subtract(&self, weight: usize) {
        let left = self.shared.bytes.fetch_sub(weight, Ordering::AcqRel).saturating_sub(weight);
        if left < MOST_BYTES / 2 {
            self.shared.stuck.store(false, Ordering::Release);
        }
        if left + weight > MOST_BYTES / 2 {
            // Under the lock, so that nobody misses it between looking and waiting.
            drop(self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.shared.less.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_waits_until_a_reader_has_read() {
        let flow = Flow::default();
        let first = flow.carry(vec![0; MOST_BYTES]);
        let second = first.clone();
        flow.wait();
        let third = flow.carry(vec![0; 10]);
        let (waiting, done) = (flow.clone(), Arc::new(AtomicBool::new(false)));
        let told = done.clone();
        let producer = std::thread::spawn(move || {
            waiting.wait();
            told.store(true, Ordering::Release);
        });
        drop(first);
        std::thread::sleep(Duration::from_millis(30));
        assert!(!done.load(Ordering::Acquire), "one copy is still on its way");
        drop(second);
        producer.join().unwrap();
        assert!(done.load(Ordering::Acquire) && !flow.is_stuck());
        drop(third);
        assert_eq!(flow.bytes(), 0);
    }

    #[tokio::test]
    async fn readers_that_are_stuck_are_not_waited_for_until_they_read_again() {
        let flow = Flow::with_patience(Duration::from_millis(20));
        let stuck = flow.carry_as(Vec::new(), MOST_BYTES + 1);
        flow.room().await;
        assert!(flow.is_stuck());
        flow.wait();
        drop(stuck);
        assert!(!flow.is_stuck());
    }
}
