//! `lr=auto`: short training runs find the learning rate of a configuration.

use graft_spec::{Failure, Value, ablation::Trial, training::TRAIN};

use super::{prepared_trial::TrialRun, runner::GridRunner, trial_log::TrialLog};
use crate::verbs::{
    advice::{SMALLER, rate},
    attach, train,
};

/// Rates that are tried, as multiples of the method's default.
pub(super) const FACTORS: [f64; 4] = [0.3, 1.0, 3.0, 10.0];
/// Each try has this fraction of the planned steps ...
const STEPS_DIVISOR: u64 = 4;
/// ... but at least this many.
const MIN_STEPS: u64 = 10;

/// The outcome of the tries so far.
#[derive(Default)]
struct Search {
    /// The lowest loss and its rate.
    best: Option<(f64, f64)>,
    /// The last failure.
    failure: Option<Failure>,
    /// Number of tries whose loss rose.
    rose: usize,
}

impl GridRunner<'_> {
    /// Returns the rate whose short run ends with the lowest loss. Warns when the loss rises with
    /// every rate.
    ///
    /// # Errors
    /// [`crate::SessionError::Interrupted`] when the user stopped it; a failure when every rate
    /// fails.
    pub(super) fn search(&self, trial: &Trial, seed: u64, label: &str) -> Result<f64, Failure> {
        let default = train::default_rate(&*self.state.model()?, attach::method(trial.method)?);
        let mut search = Search::default();
        for (index, factor) in FACTORS.iter().enumerate() {
            let rate = rounded(default * factor);
            let label = format!("{label}, lr search ({} of {})", index + 1, FACTORS.len());
            match self.try_rate(trial, seed, rate, &label) {
                Ok(log) => search.add(rate, &log),
                Err(stopped) if self.cx.is_stopping() => return Err(stopped),
                // A rate that is too large diverges. The others are still tried.
                Err(other) => search.failure = Some(other),
            }
        }
        let smallest = rate(rounded(FACTORS[0] * default * SMALLER));
        let Some((_, found)) = search.best else {
            return Err(no_rate(trial, default, &smallest, search.failure));
        };
        if search.rose == FACTORS.len() {
            self.cx.warn(format!(
                "the loss of {} rises with every learning rate that was tried; try a smaller one: \
                 lr={smallest}",
                trial.label
            ));
        }
        Ok(found)
    }

    /// Trains a configuration briefly with a rate. Its run is removed.
    fn try_rate(
        &self,
        trial: &Trial,
        seed: u64,
        rate: f64,
        label: &str,
    ) -> Result<TrialLog, Failure> {
        let steps = trial
            .train
            .integer(TRAIN, "steps")
            .map_or(MIN_STEPS, i64::unsigned_abs)
            .div_ceil(STEPS_DIVISOR)
            .max(MIN_STEPS);
        let train = trial
            .train
            .clone()
            .with("lr", Value::Float(rate))
            .with("steps", Value::Integer(steps as i64));
        let [key, run_key] = [String::new(), String::new()];
        let run = TrialRun { place: 0, trial, seed, key, run_key, lr: None, train };
        let prepared = self.prepare(run, None)?;
        let log = self.run_single(&prepared, label);
        let _ = std::fs::remove_dir_all(prepared.setup.folder.path());
        log
    }
}

impl Search {
    fn add(&mut self, rate: f64, log: &TrialLog) {
        self.rose += usize::from(log.has_risen());
        let loss = log.loss().unwrap_or(f64::NAN);
        if loss.is_finite() && self.best.is_none_or(|(lowest, _)| loss < lowest) {
            self.best = Some((loss, rate));
        }
    }
}

/// The failure when no rate works.
fn no_rate(trial: &Trial, default: f64, smallest: &str, last: Option<Failure>) -> Failure {
    if let Some(failure) = last.filter(|failure| failure.code != "train::not_finite") {
        return failure;
    }
    let [low, high] = [FACTORS[0], FACTORS[3]].map(|factor| rate(rounded(factor * default)));
    let problem = format!(
        "no learning rate from {low} to {high} trains {}: the loss becomes infinite or NaN",
        trial.label
    );
    Failure::new("ablate::no_rate", problem).hint(format!("try a smaller one: lr={smallest}"))
}

/// Rounds to one digit.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.0e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rate_has_one_digit() {
        assert_eq!(super::rounded(0.000_299_999_999), 3e-4);
        assert_eq!(super::rounded(0.02 * 10.0), 0.2);
    }
}
