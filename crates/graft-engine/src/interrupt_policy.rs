//! The policy of interrupts: which interrupt asks the running job to stop, and which one kills the
//! child.

use std::time::{Duration, Instant};

/// Interrupts within this time after the first count as one: the running job has not had the time
/// to react.
pub(crate) const DEBOUNCE: Duration = Duration::from_millis(500);

/// The interrupts of the current work.
#[derive(Debug, Default)]
pub(crate) struct InterruptPolicy {
    /// Time of the first one.
    first: Option<Instant>,
}

/// The reaction to an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InterruptAction {
    /// Ask the running job to stop, and kill the child if no job acknowledges within the grace
    /// period. Carries the time of the interrupt.
    Ask(Instant),
    /// Ask again.
    AskAgain,
    /// Kill the child.
    Kill,
}

impl InterruptPolicy {
    /// Starts over for new work.
    pub(crate) fn clear(&mut self) {
        self.first = None;
    }

    /// Whether `first` is still the time of the first interrupt.
    pub(crate) fn is_current(&self, first: Instant) -> bool {
        self.first == Some(first)
    }

    /// Handles an interrupt. It kills only if it comes [`DEBOUNCE`] after the first one, no job has
    /// acknowledged that one, and `can_kill`: the callers wait for a child that is running a cell
    /// or a command.
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
            Some(first)
                if !is_acknowledged && can_kill && now.duration_since(first) >= DEBOUNCE =>
            {
                // The next interrupt is a first one again, so that it does not kill the next child.
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
    fn interrupts_in_quick_succession_count_as_one() {
        let (mut policy, begin) = (InterruptPolicy::default(), Instant::now());
        assert_eq!(policy.on_interrupt(begin, false, true), InterruptAction::Ask(begin));
        for milliseconds in [1, 5, 20, 100, 499] {
            assert_eq!(
                policy.on_interrupt(begin + Duration::from_millis(milliseconds), false, true),
                InterruptAction::AskAgain,
                "{milliseconds} ms"
            );
        }
        assert_eq!(policy.on_interrupt(begin + DEBOUNCE, false, true), InterruptAction::Kill);
    }

    #[test]
    fn an_acknowledged_interrupt_never_kills() {
        let (mut policy, begin) = (InterruptPolicy::default(), Instant::now());
        policy.on_interrupt(begin, false, true);
        for seconds in [1, 10, 1000] {
            assert_eq!(
                policy.on_interrupt(begin + Duration::from_secs(seconds), true, true),
                InterruptAction::AskAgain,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn a_child_that_starts_or_waits_for_the_compiler_is_not_killed() {
        let (mut policy, begin) = (InterruptPolicy::default(), Instant::now());
        policy.on_interrupt(begin, false, false);
        assert_eq!(
            policy.on_interrupt(begin + 4 * DEBOUNCE, false, false),
            InterruptAction::AskAgain
        );
    }

    #[test]
    fn an_interrupt_after_a_kill_does_not_kill_the_next_child() {
        let (mut policy, begin) = (InterruptPolicy::default(), Instant::now());
        policy.on_interrupt(begin, false, true);
        assert_eq!(policy.on_interrupt(begin + DEBOUNCE, false, true), InterruptAction::Kill);
        assert_eq!(
            policy.on_interrupt(begin + DEBOUNCE, false, true),
            InterruptAction::Ask(begin + DEBOUNCE)
        );
    }
}
