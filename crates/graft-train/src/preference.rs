//! Preference training: the model learns to prefer the chosen to the rejected answer of each pair.
//!
//! A pair is two rows of a batch, the chosen answer and then the rejected one, each after the same
//! prompt. A loss needs the log-probability of both answers, from the model and, except for ORPO,
//! from a [`ReferenceModel`]. `objective.rs` contains the losses, `pass.rs` the forward passes.

mod evaluate;
mod objective;
mod pass;
mod reference;

use graft_nn::{Model, Task};
use graft_spec::Settings;
use graft_spec::training::TRAIN;

use crate::data::{Dataset, Kind};
use crate::{Result, TrainError};

pub use evaluate::{PreferenceEvaluator, evaluate_preferences};
pub use objective::{LogProbabilities, PairLoss, PreferenceLoss, Strength};
pub(crate) use pass::{Normalizers, PairTotals, loss, reference_log_probabilities};
pub use reference::{ReferenceModel, StartingWeights};

/// The loss of a preference run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// The kind of loss.
    pub loss: PreferenceLoss,
    /// Its constants.
    pub strength: Strength,
}

/// Which model is the reference of a preference run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The model with its adapters switched off.
    Base,
    /// The model with the adapter as it is before the first step.
    Start,
}

/// The default of `beta`.
const DEFAULT_BETA: f64 = 0.1;
/// The default of `gamma`.
const DEFAULT_GAMMA: f64 = 0.5;

impl Default for Objective {
    fn default() -> Self {
        let strength = Strength { beta: DEFAULT_BETA, gamma: DEFAULT_GAMMA };
        Self { loss: PreferenceLoss::Dpo, strength }
    }
}

impl Objective {
    /// Reads the keys `loss`, `beta` and `gamma` of settings that have been checked against those
    /// of `%train`; `None` without a loss.
    pub fn from_settings(settings: &Settings) -> Option<Self> {
        let loss = PreferenceLoss::parse(&settings.text(TRAIN, "loss")?)?;
        let number = |key, default| settings.float(TRAIN, key).unwrap_or(default);
        let strength =
            Strength { beta: number("beta", DEFAULT_BETA), gamma: number("gamma", DEFAULT_GAMMA) };
        Some(Self { loss, strength })
    }
}

impl Reference {
    /// Reads the key `reference` of `%train`; `None` if it is absent.
    pub fn from_settings(settings: &Settings) -> Option<Self> {
        match settings.text(TRAIN, "reference").as_deref() {
            Some("base") => Some(Self::Base),
            Some("start") => Some(Self::Start),
            _ => None,
        }
    }
}

/// Checks that data and loss fit together, and that the model can write answers.
///
/// # Errors
/// [`TrainError::Preferences`] for pairs of answers without an objective,
/// [`TrainError::NoPreferences`] for an objective without pairs, and
/// [`TrainError::ClassifierPreferences`].
pub(crate) fn check(model: &dyn Model, data: &Dataset, objective: Option<Objective>) -> Result<()> {
    let name = || data.name.clone();
    match (data.kind == Kind::Preference, objective) {
        (true, _) if model.task() != Task::CausalLm => {
            Err(TrainError::ClassifierPreferences { data: name() })
        }
        (true, None) => Err(TrainError::Preferences { data: name() }),
        (false, Some(Objective { loss, .. })) => {
            Err(TrainError::NoPreferences { data: name(), loss: loss.name() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
