//! Named phases with their durations, so that the log shows what takes long.

use std::time::{Duration, Instant};

use crate::problem::Result;

/// The phases of one task, in order.
pub(crate) struct Phases {
    planned: usize,
    begun: Instant,
    done: Vec<(String, Duration)>,
}

impl Phases {
    /// Starts a task with the given number of phases.
    pub(crate) fn new(planned: usize) -> Self {
        Self { planned, begun: Instant::now(), done: Vec::new() }
    }

    /// Runs one phase and prints a headline before it and its duration after it, also if it failed.
    pub(crate) fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!(
            "\n[{}/{}] {name}  (after {})",
            self.done.len() + 1,
            self.planned,
            in_words(self.begun.elapsed())
        );
        let begun = Instant::now();
        let outcome = work();
        let took = begun.elapsed();
        println!(
            "      {} {name} in {}",
            if outcome.is_ok() { "finished" } else { "FAILED" },
            in_words(took)
        );
        self.done.push((name.to_owned(), took));
        outcome
    }

    /// Prints the duration of every phase and the total.
    pub(crate) fn summary(&self) {
        println!("\ntimes");
        for (name, took) in &self.done {
            println!("  {:>9}  {name}", in_words(*took));
        }
        println!("  {:>9}  total", in_words(self.begun.elapsed()));
    }
}

/// Formats a duration: `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..100 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_readable_units() {
        assert_eq!(in_words(Duration::from_millis(420)), "0.4 s");
        assert_eq!(in_words(Duration::from_secs(12)), "12 s");
        assert_eq!(in_words(Duration::from_secs(185)), "3 min 05 s");
    }
}
