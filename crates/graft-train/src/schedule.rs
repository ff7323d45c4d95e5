//! Learning-rate schedules.

/// How the learning rate decays after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// It stays at its peak.
    Constant,
    /// It falls linearly to 0.
    Linear,
    /// It falls along half a cosine to 0.
    Cosine,
}

/// Linear warm-up to a peak, then a [`Decay`].
///
/// ```text
/// k = step - 1
/// k < warmup:  rate = peak (k + 1) / warmup
/// else:        p = (k - warmup) / (steps - warmup)
///              rate = peak * { 1 | 1 - p | (1 + cos(pi p)) / 2 }
/// ```
/// Unlike in transformers, the first step has a learning rate above 0, so that it is not wasted.
///
/// # Examples
/// ```
/// use graft_train::schedule::{Decay, Schedule};
///
/// let schedule = Schedule { peak: 1e-3, warmup: 2, steps: 6, decay: Decay::Linear };
/// let rates: Vec<f64> = (1..=6).map(|step| schedule.rate(step)).collect();
/// assert_eq!(rates[..3], [0.5e-3, 1e-3, 1e-3]);
/// assert!(rates[5] < rates[4]);
/// ```
/// # Source
/// Cosine decay: Loshchilov and Hutter 2017, arXiv:1608.03983
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Learning rate after the warm-up.
    pub peak: f64,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// Planned steps of the run.
    pub steps: u64,
    /// The decay after the warm-up.
    pub decay: Decay,
}

impl Schedule {
    /// Learning rate of a step, counted from 1.
    pub fn rate(&self, step: u64) -> f64 {
        let done = step.saturating_sub(1);
        if done < self.warmup {
            return self.peak * (done + 1) as f64 / self.warmup as f64;
        }
        let progress =
            (done - self.warmup) as f64 / self.steps.saturating_sub(self.warmup).max(1) as f64;
        let progress = progress.min(1.0);
        self.peak
            * match self.decay {
                Decay::Constant => 1.0,
                Decay::Linear => 1.0 - progress,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(decay: Decay) -> Vec<f64> {
        let schedule = Schedule { peak: 2.0, warmup: 2, steps: 6, decay };
        (1..=7).map(|step| (schedule.rate(step) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_zero_one_step_after_the_last() {
        assert_eq!(rates(Decay::Linear), [1.0, 2.0, 2.0, 1.5, 1.0, 0.5, 0.0]);
        assert_eq!(rates(Decay::Cosine), [1.0, 2.0, 2.0, 1.707_107, 1.0, 0.292_893, 0.0]);
        assert_eq!(rates(Decay::Constant), [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn a_warm_up_longer_than_the_run_only_rises() {
        let schedule = Schedule { peak: 1.0, warmup: 10, steps: 4, decay: Decay::Cosine };
        assert_eq!(
            (1..=4).map(|step| schedule.rate(step)).collect::<Vec<_>>(),
            [0.1, 0.2, 0.3, 0.4]
        );
    }
}
