//! Learning-rate schedules.

mod plateau;

pub use plateau::{Plateau, PlateauState};

/// How the learning rate changes during a run; the names are those of transformers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// It stays at its peak from the first step on.
    Constant,
    /// It stays at its peak after the warm-up.
    ConstantWithWarmup,
    /// It falls linearly to 0.
    Linear,
    /// It falls along half a cosine to 0.
    Cosine,
    /// It falls along half a cosine to this fraction of the peak.
    CosineWithMin(f64),
    /// It falls with the inverse square root of the step.
    InverseSqrt,
    /// It falls as a polynomial with this exponent, to 1e-7.
    Polynomial(f64),
    /// It is reduced when the validations do not improve: see [`Plateau`].
    ReduceOnPlateau(Plateau),
}

/// Linear warm-up to a peak, then a [`Decay`].
///
/// ```text
/// k = step - 1;  w = warmup
/// k < w:  rate = peak (k + 1) / w
/// else:   p = (k - w) / (steps - w)
///         rate = peak * { 1 | 1 - p | (1 + cos(pi p)) / 2 | m + (1 - m) (1 + cos(pi p)) / 2
///                         | sqrt(w / k) | (1 - p)^power, at least 1e-7 }
/// ```
/// `constant` and `reduce_on_plateau` have no warm-up. `inverse_sqrt` without warm-up uses w =
/// 10,000. Steps after the planned end have the last rate.
///
/// The rate is that of the `LambdaLR` of transformers after k steps, except in the warm-up, where
/// it is one step ahead: the first step has a learning rate above 0, so that it is not wasted.
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
/// `transformers/optimization.py`; cosine decay: Loshchilov and Hutter 2017, arXiv:1608.03983
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

/// Last rate of [`Decay::Polynomial`], as in transformers.
const POLYNOMIAL_END: f64 = 1e-7;
/// Time scale of [`Decay::InverseSqrt`] without warm-up, as in transformers.
const INVERSE_SQRT_SCALE: u64 = 10_000;

impl Decay {
    /// Whether the schedule begins with a warm-up.
    pub fn has_warmup(&self) -> bool {
        !matches!(self, Self::Constant | Self::ReduceOnPlateau(_))
    }
}

impl Schedule {
    /// Learning rate of a step, counted from 1. For [`Decay::ReduceOnPlateau`], the rate before the
    /// first reduction.
    pub fn rate(&self, step: u64) -> f64 {
        let done = step.saturating_sub(1);
        if self.decay.has_warmup() && done < self.warmup {
            return self.peak * (done + 1) as f64 / self.warmup as f64;
        }
        let progress = done.saturating_sub(self.warmup) as f64
            / self.steps.saturating_sub(self.warmup).max(1) as f64;
        let progress = progress.min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        match self.decay {
            Decay::Constant | Decay::ConstantWithWarmup | Decay::ReduceOnPlateau(_) => self.peak,
            Decay::Linear => self.peak * (1.0 - progress),
            Decay::Cosine => self.peak * cosine,
            Decay::CosineWithMin(least) => self.peak * (least + (1.0 - least) * cosine),
            Decay::InverseSqrt => self.peak * self.inverse_sqrt(done),
            Decay::Polynomial(power) => self.polynomial((1.0 - progress).powf(power)),
        }
    }

    fn inverse_sqrt(&self, done: u64) -> f64 {
        let scale = if self.warmup == 0 { INVERSE_SQRT_SCALE } else { self.warmup };
        let shifted = done + scale - self.warmup;
        1.0 / (shifted as f64 / scale as f64).sqrt()
    }

    fn polynomial(&self, left: f64) -> f64 {
        let end = POLYNOMIAL_END.min(self.peak);
        (self.peak - end) * left + end
    }
}

#[cfg(test)]
mod tests;
