//! The stop button: which press asks, and which one kills.

use std::time::{Duration, Instant};

/// InterruptPolicy that follow the first within this time belong to it: what the first one asked for has not had the time to happen.
pub(crate) const MOMENT: Duration = Duration::from_millis(500);

/// The presses that concern what runs now.
#[derive(Debug, Default)]
pub(crate) struct InterruptPolicy {
    /// When the first one came.
    first: Option<Instant>,
}

/// What a press leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InterruptAction {
    /// Ask what runs to stop, and kill the child if nothing has answered after the grace. Carries the time of the press.
    Ask(Instant),
    /// Ask once more.
    AskAgain,
    /// Kill the child.
    Kill,
}

impl InterruptPolicy {
    /// Something new runs: earlier presses do not concern it.
    pub(crate) fn clear(&mut self) {
        self.first = None;
    }

    /// Whether the press at `first` is still the one that counts.
    pub(crate) fn is_current(&self, first: Instant) -> bool {
        self.first == Some(first)
    }

    /// Takes a press. A press kills only if it comes a moment after the first one, no job has said that it stops, and
    /// `can_kill` says that a child in the middle of something is what everybody waits for.
    pub(crate) fn on_interrupt(
        &mut self,
        now: Instant,
        is_acknowledged: bool,
        can_kill: bool,
    ) -> InterruptAction {
        match self.first {
            None => {
                self.first = Some(now);
                InterruptAction::Ask(now)
            }
            Some(first) if !is_acknowledged && can_kill && now.duration_since(first) >= MOMENT => {
                // Whatever is pressed next is a first press again: it must not end the child that comes after.
                self.first = None;
                InterruptAction::Kill
            }
            Some(_) => InterruptAction::AskAgain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presses_in_quick_succession_count_as_one() {
        let (mut presses, begin) = (InterruptPolicy::default(), Instant::now());
        assert_eq!(presses.on_interrupt(begin, false, true), InterruptAction::Ask(begin));
        for milliseconds in [1, 5, 20, 100, 499] {
            assert_eq!(
                presses.on_interrupt(begin + Duration::from_millis(milliseconds), false, true),
                InterruptAction::AskAgain,
                "{milliseconds} ms"
            );
        }
        assert_eq!(presses.on_interrupt(begin + MOMENT, false, true), InterruptAction::Kill);
    }

    #[test]
    fn a_stop_that_a_job_has_acknowledged_never_kills() {
        let (mut presses, begin) = (InterruptPolicy::default(), Instant::now());
        presses.on_interrupt(begin, false, true);
        for seconds in [1, 10, 1000] {
            assert_eq!(
                presses.on_interrupt(begin + Duration::from_secs(seconds), true, true),
                InterruptAction::AskAgain,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn a_child_that_only_starts_or_waits_for_the_compiler_is_not_killed() {
        let (mut presses, begin) = (InterruptPolicy::default(), Instant::now());
        presses.on_interrupt(begin, false, false);
        assert_eq!(
            presses.on_interrupt(begin + 4 * MOMENT, false, false),
            InterruptAction::AskAgain
        );
    }

    #[test]
    fn a_press_after_a_kill_does_not_kill_the_next_child() {
        let (mut presses, begin) = (InterruptPolicy::default(), Instant::now());
        presses.on_interrupt(begin, false, true);
        assert_eq!(presses.on_interrupt(begin + MOMENT, false, true), InterruptAction::Kill);
        assert_eq!(
            presses.on_interrupt(begin + MOMENT, false, true),
            InterruptAction::Ask(begin + MOMENT)
        );
    }
}
