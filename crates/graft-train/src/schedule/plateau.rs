//! Reductions of the learning rate when the validations do not improve.

use serde::{Deserialize, Serialize};

use crate::best::{Direction, ExactFloat};

/// Smallest relative improvement that counts.
const THRESHOLD: f64 = 1e-4;
/// Reductions that would change the rate by less are left out.
const LEAST_CHANGE: f64 = 1e-8;

/// Reduces the learning rate by a factor after a number of validations without improvement.
///
/// An improvement is relative: a loss below `best (1 - 1e-4)`, an accuracy above `best (1 + 1e-4)`.
///
/// # Source
/// `torch.optim.lr_scheduler.ReduceLROnPlateau`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// Validations without improvement that are tolerated.
    pub patience: u64,
    /// Factor of each reduction.
    pub factor: f64,
}

/// The progress of a [`Plateau`], which checkpoints contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlateauState {
    /// The best value so far.
    pub best: Option<ExactFloat>,
    /// Validations since then.
    pub without_improvement: u64,
    /// The current learning rate; `None` before the first reduction.
    pub rate: Option<ExactFloat>,
}

impl Plateau {
    /// Takes the value of a validation into account. `peak` is the learning rate before the first
    /// reduction. Returns the new rate after a reduction.
    pub fn after_validation(
        &self,
        state: &mut PlateauState,
        value: f64,
        direction: Direction,
        peak: f64,
    ) -> Option<f64> {
        let margin = match direction {
            Direction::Lower => 1.0 - THRESHOLD,
            Direction::Higher => 1.0 + THRESHOLD,
        };
        let is_better =
            state.best.is_none_or(|best| direction.is_better(value, best.value() * margin));
        if is_better {
            state.best = Some(value.into());
            state.without_improvement = 0;
            return None;
        }
        state.without_improvement += 1;
        if state.without_improvement <= self.patience {
            return None;
        }
        state.without_improvement = 0;
        let rate = state.rate.map_or(peak, ExactFloat::value);
        let reduced = rate * self.factor;
        if rate - reduced <= LEAST_CHANGE {
            return None;
        }
        state.rate = Some(reduced.into());
        Some(reduced)
    }
}
