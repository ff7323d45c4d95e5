//! Where a child's standard output and its link wait for each other, so that what a cell prints and what it shows stay in order.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::lock;

/// Longest wait for the other: it may have been closed by the cell.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(1);

/// One of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Standard output.
    Stream,
    /// The link.
    Link,
}

/// How far both ways have come.
#[derive(Debug, Default)]
pub(super) struct StreamBarrier {
    /// Number of the last meeting that each has come to: stream, link.
    reached: Mutex<[u64; 2]>,
    arrived: Condvar,
}

impl StreamBarrier {
    /// A new child counts from the beginning.
    pub(super) fn reset(&self) {
        *lock(&self.reached) = [0; 2];
    }

    /// One way has come to that meeting; returns when the other has too. Numbers only grow.
    pub(super) fn wait(&self, way: Channel, number: u64) {
        let (own, other) = match way {
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
    fn whoever_comes_first_waits_for_the_other() {
        for (first, second) in [(Channel::Stream, Channel::Link), (Channel::Link, Channel::Stream)]
        {
            let (meetings, met) =
                (Arc::new(StreamBarrier::default()), Arc::new(AtomicBool::new(false)));
            let (there, told) = (meetings.clone(), met.clone());
            let waiting = std::thread::spawn(move || {
                there.wait(first, 7);
                assert!(told.load(Ordering::Acquire), "went on before the other had come");
            });
            std::thread::sleep(Duration::from_millis(20));
            met.store(true, Ordering::Release);
            meetings.wait(second, 7);
            waiting.join().unwrap();
        }
    }

    #[test]
    fn one_that_is_behind_does_not_hold_up_what_was_met_already() {
        let meetings = StreamBarrier::default();
        *lock(&meetings.reached) = [0, 9];
        meetings.wait(Channel::Stream, 8);
        meetings.reset();
        assert_eq!(*lock(&meetings.reached), [0, 0]);
    }
}
