//! `lr=auto`: a few short trainings of a configuration tell which learning rate suits it.

use super::trial::{Bench, Heard};
use crate::verbs::{
    advice::{SMALLER, rate},
    attach, train,
};
use graft_spec::{Failure, Value, ablation::Trial, training::TRAIN};

/// Rates that are tried, as multiples of the method's own default.
pub(super) const FACTORS: [f64; 4] = [0.3, 1.0, 3.0, 10.0];
/// How many times shorter than the whole training each try is ...
const SHORTER: u64 = 4;
/// ... and how many steps it has at least.
const LEAST: u64 = 10;

impl Bench<'_> {
    /// The rate whose short training ends with the lowest loss. Where the loss rises with every rate, so that the least bad is found, that is told.
    ///
    /// # Errors
    /// When the user stops it, and the last failure when every rate fails.
    pub(super) fn search(&self, trial: &Trial, seed: u64, label: &str) -> Result<f64, Failure> {
        let default = train::default_rate(&*self.state.model()?, attach::method(trial.method)?);
        let steps = trial
            .train
            .integer(TRAIN, "steps")
            .map_or(LEAST, i64::unsigned_abs)
            .div_ceil(SHORTER)
            .max(LEAST);
        let (mut best, mut failure, mut rose): (Option<(f64, f64)>, _, _) = (None, None, 0);
        for (index, factor) in FACTORS.iter().enumerate() {
            let rate = rounded(default * factor);
            let keys = trial
                .train
                .clone()
                .with("lr", Value::Float(rate))
                .with("steps", Value::Integer(steps as i64));
            let label = format!("{label}, seeking lr ({} of {})", index + 1, FACTORS.len());
            let tried = self.enter((0, trial), seed, (String::new(), None), &keys, None).and_then(
                |entrant| {
                    let heard = self.alone(&entrant, &label);
                    // A try is no run that anybody would want to see again.
                    let _ = std::fs::remove_dir_all(entrant.plan.folder.path());
                    heard
                },
            );
            let heard = tried.inspect(|heard| rose += usize::from(has_risen(heard)));
            match heard.map(|heard| heard.loss().unwrap_or(f64::NAN)) {
                Ok(loss) if loss.is_finite() && best.is_none_or(|(least, _)| loss < least) => {
                    best = Some((loss, rate))
                }
                Ok(_) => {}
                Err(stopped) if self.desk.is_stopping() => return Err(stopped),
                // A rate that is too large diverges, and the others go on.
                Err(other) => failure = Some(other),
            }
        }
        let smallest = rounded(FACTORS[0] * default * SMALLER);
        let label = &trial.label;
        let Some((_, found)) = best else {
            let what = format!(
                "no learning rate between {} and {} trains {label}",
                rate(rounded(FACTORS[0] * default)),
                rate(rounded(FACTORS[3] * default))
            );
            return Err(
                match failure.filter(|failure: &Failure| failure.code != "train::not_finite") {
                    Some(failure) => failure,
                    // They have all diverged.
                    None => Failure::new(
                        "ablate::no_rate",
                        format!("{what}: the loss is no longer finite"),
                    )
                    .hint(format!("name smaller ones: lr={}", rate(smallest))),
                },
            );
        };
        if rose == FACTORS.len() {
            self.desk.warn(format!("the loss of {label} rises with every learning rate that was tried; name a smaller one: lr={}", rate(smallest)));
        }
        Ok(found)
    }
}

/// Whether a short training ended above its beginning, on the smoothed curve.
fn has_risen(heard: &Heard) -> bool {
    let (first, last) = (heard.curve.first(), heard.curve.last());
    first.zip(last).is_some_and(|((_, first), (_, last))| last.is_nan() || last > first)
}

/// One digit is enough, and reads well.
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
