//! The stop button: which press asks, and which one kills.

use std::time::{Duration, Instant};

/// Presses that follow the first within this time belong to it: what the first one asked for has not had the time to happen.
pub(super) const MOMENT: Duration = Duration::from_millis(500);

/// The presses that concern what runs now.
#[derive(Debug, Default)]
pub(super) struct Presses {
    /// When the first one came.
    first: Option<Instant>,
}

/// What a press leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Ask what runs to stop, and kill the child if nothing has answered after the grace. Carries the time of the press.
    Ask(Instant),
    /// Ask once more.
    AskAgain,
    /// Kill the child.
    Kill,
}

impl Presses {
    /// Something new runs: earlier presses do not concern it.
    pub(super) fn clear(&mut self) {
        self.first = None;
    }

    /// Whether the press at `first` is still the one that counts.
    pub(super) fn is_current(&self, first: Instant) -> bool {
        self.first == Some(first)
    }

    /// Takes a press. A press kills only if it comes a moment after the first one, no job has said that it stops, and
    /// `can_kill` says that a child in the middle of something is what everybody waits for.
    pub(super) fn press(&mut self, now: Instant, is_acknowledged: bool, can_kill: bool) -> Act {
        match self.first {
            None => {
                self.first = Some(now);
                Act::Ask(now)
            }
            Some(first) if !is_acknowledged && can_kill && now.duration_since(first) >= MOMENT => {
                // Whatever is pressed next is a first press again: it must not end the child that comes after.
                self.first = None;
                Act::Kill
            }
            Some(_) => Act::AskAgain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presses_in_quick_succession_count_as_one() {
        let (mut presses, begin) = (Presses::default(), Instant::now());
        assert_eq!(presses.press(begin, false, true), Act::Ask(begin));
        for milliseconds in [1, 5, 20, 100, 499] {
            assert_eq!(
                presses.press(begin + Duration::from_millis(milliseconds), false, true),
                Act::AskAgain,
                "{milliseconds} ms"
            );
        }
        assert_eq!(presses.press(begin + MOMENT, false, true), Act::Kill);
    }

    #[test]
    fn a_stop_that_a_job_has_acknowledged_never_kills() {
        let (mut presses, begin) = (Presses::default(), Instant::now());
        presses.press(begin, false, true);
        for seconds in [1, 10, 1000] {
            assert_eq!(
                presses.press(begin + Duration::from_secs(seconds), true, true),
                Act::AskAgain,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn a_child_that_only_starts_or_waits_for_the_compiler_is_not_killed() {
        let (mut presses, begin) = (Presses::default(), Instant::now());
        presses.press(begin, false, false);
        assert_eq!(presses.press(begin + 4 * MOMENT, false, false), Act::AskAgain);
    }

    #[test]
    fn a_press_after_a_kill_does_not_kill_the_next_child() {
        let (mut presses, begin) = (Presses::default(), Instant::now());
        presses.press(begin, false, true);
        assert_eq!(presses.press(begin + MOMENT, false, true), Act::Kill);
        assert_eq!(presses.press(begin + MOMENT, false, true), Act::Ask(begin + MOMENT));
    }
}
