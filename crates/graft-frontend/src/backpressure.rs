//! Back-pressure for the output of cells: a cell that prints forever is slowed down to the speed of
//! its readers instead of filling the memory.
//!
//! Every piece of output is counted from the child's pipe until the socket has written it: the
//! count travels with the bytes and ends when their last copy is dropped. Producers wait while too
//! many bytes are in flight. A client that has stopped reading altogether (a suspended terminal)
//! loses its output, which then no longer counts; if no reader makes progress for
//! [`STALL_TIMEOUT`], producers stop waiting.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

/// Producers wait while more bytes than this are in flight.
const MAX_IN_FLIGHT_BYTES: usize = 32 << 20;
/// Readers that make no progress for this long count as stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a waiting task polls the count.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Counts the bytes of output that are in flight; clones share one count.
#[derive(Clone, Debug)]
pub struct OutputBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stall_timeout: Duration,
    in_flight_bytes: AtomicUsize,
    is_stalled: AtomicBool,
    lock: Mutex<()>,
    decreased: Condvar,
}

/// Bytes that count as in flight until they are dropped.
struct TrackedBytes {
    bytes: Vec<u8>,
    weight: usize,
    budget: OutputBudget,
}

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for TrackedBytes {
    fn drop(&mut self) {
        self.budget.release(self.weight);
    }
}

impl Default for OutputBudget {
    fn default() -> Self {
        Self::with_stall_timeout(STALL_TIMEOUT)
    }
}

impl OutputBudget {
    fn with_stall_timeout(stall_timeout: Duration) -> Self {
        let shared = Shared {
            stall_timeout,
            in_flight_bytes: AtomicUsize::new(0),
            is_stalled: AtomicBool::new(false),
            lock: Mutex::default(),
            decreased: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Wraps bytes so that they count as in flight until their last copy is dropped.
    #[must_use]
    pub fn track(&self, bytes: Vec<u8>) -> Bytes {
        let weight = bytes.len();
        self.track_as(bytes, weight)
    }

    /// Like [`track`](Self::track), but counts `weight` bytes; for a small part that represents a
    /// whole message.
    #[must_use]
    pub fn track_as(&self, bytes: Vec<u8>, weight: usize) -> Bytes {
        self.shared.in_flight_bytes.fetch_add(weight, Ordering::AcqRel);
        Bytes::from_owner(TrackedBytes { bytes, weight, budget: self.clone() })
    }

    /// Whether no reader has made progress for the stall timeout.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.shared.is_stalled.load(Ordering::Acquire)
    }

    /// Blocks the thread until there is room for more output; returns at once if the readers are
    /// stalled.
    pub fn wait(&self) {
        while self.is_full() {
            let before = self.in_flight_bytes();
            let guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            let waited =
                self.shared.decreased.wait_timeout_while(guard, self.shared.stall_timeout, |()| {
                    self.in_flight_bytes() >= before && self.is_full()
                });
            if waited.is_ok_and(|(_, timeout)| timeout.timed_out()) {
                self.shared.is_stalled.store(true, Ordering::Release);
            }
        }
    }

    /// Returns when there is room for more output; the asynchronous form of [`wait`](Self::wait).
    pub async fn ready(&self) {
        let mut before = self.in_flight_bytes();
        let mut since = tokio::time::Instant::now();
        while self.is_full() {
            tokio::time::sleep(POLL_INTERVAL).await;
            if self.in_flight_bytes() < before {
                before = self.in_flight_bytes();
                since = tokio::time::Instant::now();
            } else if since.elapsed() > self.shared.stall_timeout {
                self.shared.is_stalled.store(true, Ordering::Release);
            }
        }
    }

    fn in_flight_bytes(&self) -> usize {
        self.shared.in_flight_bytes.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.in_flight_bytes() > MAX_IN_FLIGHT_BYTES && !self.is_stalled()
    }

    fn release(&self, weight: usize) {
        let in_flight = &self.shared.in_flight_bytes;
        let left = in_flight.fetch_sub(weight, Ordering::AcqRel).saturating_sub(weight);
        if left < MAX_IN_FLIGHT_BYTES / 2 {
            self.shared.is_stalled.store(false, Ordering::Release);
        }
        if left + weight > MAX_IN_FLIGHT_BYTES / 2 {
            // Taking the lock keeps a waiter from missing the wake-up between its check and its
            // wait.
            drop(self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.shared.decreased.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_waits_until_a_reader_has_read() {
        let budget = OutputBudget::default();
        let first = budget.track(vec![0; MAX_IN_FLIGHT_BYTES]);
        let second = first.clone();
        budget.wait();
        let third = budget.track(vec![0; 10]);
        let (waiting, done) = (budget.clone(), Arc::new(AtomicBool::new(false)));
        let is_done = done.clone();
        let producer = std::thread::spawn(move || {
            waiting.wait();
            is_done.store(true, Ordering::Release);
        });
        drop(first);
        std::thread::sleep(Duration::from_millis(30));
        assert!(!done.load(Ordering::Acquire), "one copy is still in flight");
        drop(second);
        producer.join().unwrap();
        assert!(done.load(Ordering::Acquire) && !budget.is_stalled());
        drop(third);
        assert_eq!(budget.in_flight_bytes(), 0);
    }

    #[tokio::test]
    async fn stalled_readers_do_not_block_producers_until_they_read_again() {
        let budget = OutputBudget::with_stall_timeout(Duration::from_millis(20));
        let unread = budget.track_as(Vec::new(), MAX_IN_FLIGHT_BYTES + 1);
        budget.ready().await;
        assert!(budget.is_stalled());
        budget.wait();
        drop(unread);
        assert!(!budget.is_stalled());
    }
}
