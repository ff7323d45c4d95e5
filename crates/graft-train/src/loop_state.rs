//! The part of a run's progress that decides about learning rate and early stopping.

use serde::{Deserialize, Serialize};

use crate::best::{Direction, ExactFloat, StoppingState};
use crate::config::TrainConfig;
use crate::schedule::{Decay, PlateauState};

/// What a run has learned from its validations, and what the user's code has changed. Checkpoints
/// contain it, so that a resumed run decides as an uninterrupted one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoopState {
    /// The metric of the counters below.
    pub metric: String,
    /// The peak learning rate that `plateau` has reduced.
    pub peak: Option<ExactFloat>,
    /// Progress of the schedule `reduce_on_plateau`.
    pub plateau: PlateauState,
    /// Progress of early stopping.
    pub stopping: StoppingState,
    /// The learning rate that the user's code has set.
    pub fixed_lr: Option<ExactFloat>,
    /// Whether the validation after the last step was stopped before its end.
    pub owes_validation: bool,
}

impl LoopState {
    /// The state before the first validation.
    pub(crate) fn new(config: &TrainConfig) -> Self {
        let peak = Some(config.lr.into());
        Self { metric: config.best.clone(), peak, ..Self::default() }
    }

    /// The state of a checkpoint. With another metric, the validations before it do not count; with
    /// another peak, its reductions do not.
    pub(crate) fn restored(mut self, config: &TrainConfig) -> Self {
        let new = Self::new(config);
        if self.metric != new.metric {
            self.plateau = PlateauState { rate: self.plateau.rate, ..new.plateau };
            self.stopping = new.stopping;
        }
        if self.peak != new.peak {
            self.plateau.rate = None;
            self.fixed_lr = None;
        }
        Self { metric: new.metric, peak: new.peak, ..self }
    }

    /// The learning rate of a step.
    pub(crate) fn rate(&self, config: &TrainConfig, step: u64) -> f64 {
        let reduced = self.plateau.rate.filter(|_| is_plateau(config));
        self.fixed_lr.or(reduced).map_or_else(|| config.schedule().rate(step), ExactFloat::value)
    }

    /// Takes the metric of a validation into account. Returns the learning rate if it was reduced.
    pub(crate) fn after_validation(
        &mut self,
        config: &TrainConfig,
        value: f64,
        direction: Direction,
    ) -> Option<f64> {
        self.owes_validation = false;
        self.stopping.after_validation(value, direction);
        let Decay::ReduceOnPlateau(plateau) = config.decay else { return None };
        let reduced = plateau.after_validation(&mut self.plateau, value, direction, config.lr);
        // A rate that the user's code has set is the one in use.
        reduced.filter(|_| self.fixed_lr.is_none())
    }

    /// Whether early stopping ends the run.
    pub(crate) fn stops(&self, config: &TrainConfig) -> bool {
        config.early_stopping > 0 && self.stopping.without_improvement >= config.early_stopping
    }
}

/// Whether the schedule is `reduce_on_plateau`.
fn is_plateau(config: &TrainConfig) -> bool {
    matches!(config.decay, Decay::ReduceOnPlateau(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Plateau;
    use crate::testing::config;

    #[test]
    fn a_reduction_is_not_announced_while_the_users_code_sets_the_rate() {
        let decay = Decay::ReduceOnPlateau(Plateau { patience: 0, factor: 0.5 });
        let config = TrainConfig { decay, lr: 0.8, ..config(9) };
        let mut state = LoopState::new(&config);
        assert_eq!(state.after_validation(&config, 1.0, Direction::Lower), None);
        state.fixed_lr = Some(0.3.into());
        assert_eq!(state.after_validation(&config, 2.0, Direction::Lower), None);
        assert_eq!(state.rate(&config, 5), 0.3);
        state.fixed_lr = None;
        assert_eq!(state.after_validation(&config, 2.0, Direction::Lower), Some(0.2));
    }

    #[test]
    fn another_learning_rate_or_metric_on_resume_replaces_what_depends_on_it() {
        let decay = Decay::ReduceOnPlateau(Plateau { patience: 0, factor: 0.5 });
        let config = TrainConfig { decay, lr: 0.8, early_stopping: 2, ..config(9) };
        let mut state = LoopState::new(&config);
        for loss in [1.0, 2.0] {
            state.after_validation(&config, loss, Direction::Lower);
        }
        assert_eq!(state.rate(&config, 5), 0.4);
        assert_eq!(state.clone().restored(&config), state);
        let faster = TrainConfig { lr: 2.0, ..config.clone() };
        assert_eq!(state.clone().restored(&faster).rate(&faster, 5), 2.0);
        let other = TrainConfig { best: "accuracy".to_owned(), ..config };
        let restored = state.restored(&other);
        assert_eq!((restored.rate(&other, 5), restored.stopping.without_improvement), (0.4, 0));
    }
}
