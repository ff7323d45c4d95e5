//! Synchronizes a child's standard output with its link, so that the text and the displays of a
//! cell stay in order.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::shared_state::lock;

/// Longest wait for the other channel; the cell may have closed it.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(1);

/// One of the two channels of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Standard output.
    Stream,
    /// The link.
    Link,
}

/// The progress of both channels.
#[derive(Debug, Default)]
pub(super) struct StreamBarrier {
    /// Number of the last barrier that each channel has reached: stream, link.
    reached: Mutex<[u64; 2]>,
    arrived: Condvar,
}

impl StreamBarrier {
    /// Starts over for a new child, whose numbers start at the beginning.
    pub(super) fn reset(&self) {
        *lock(&self.reached) = [0; 2];
    }

    /// Reports that `channel` has reached barrier `number` and blocks until the other channel has
    /// reached it too. Numbers increase.
    pub(super) fn wait(&self, channel: Channel, number: u64) {
        let (own, other) = match channel {
            Channel::Stream => (0, 1),
            Channel::Link => (1, 0),
        };
        let mut reached = lock(&self.reached);
        reached[own] = number;
        self.arrived.notify_all();
        drop(self.arrived.wait_timeout_while(reached, BARRIER_TIMEOUT, |reached| {
            reached[own] == number && reached[other] < number
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn the_first_channel_waits_for_the_other() {
        for (first, second) in [(Channel::Stream, Channel::Link), (Channel::Link, Channel::Stream)]
        {
            let barrier = Arc::new(StreamBarrier::default());
            let other_arrived = Arc::new(AtomicBool::new(false));
            let (shared_barrier, arrived) = (barrier.clone(), other_arrived.clone());
            let waiting = std::thread::spawn(move || {
                shared_barrier.wait(first, 7);
                assert!(arrived.load(Ordering::Acquire), "returned before the other arrived");
            });
            std::thread::sleep(Duration::from_millis(20));
            other_arrived.store(true, Ordering::Release);
            barrier.wait(second, 7);
            waiting.join().unwrap();
        }
    }

    #[test]
    fn a_late_channel_does_not_wait_for_a_barrier_that_the_other_has_passed() {
        let barrier = StreamBarrier::default();
        *lock(&barrier.reached) = [0, 9];
        barrier.wait(Channel::Stream, 8);
        barrier.reset();
        assert_eq!(*lock(&barrier.reached), [0, 0]);
    }
}
