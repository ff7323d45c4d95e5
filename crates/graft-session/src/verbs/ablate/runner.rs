//! The inputs that all trials of a comparison share.

use std::{collections::BTreeSet, sync::Arc};

use graft_spec::{
    Failure,
    ablation::{Ablation, Trial},
    training::ABLATE,
};
use graft_train::runs::RunFolder;

use super::{results::TrialResults, scoring::ComparedMetrics};
use crate::{
    CommandContext, SessionState,
    state::LoadedData,
    verbs::{domain::Domain, format::kept_as, runs},
};

/// Runs the trials of a grid.
pub(super) struct GridRunner<'a> {
    pub(super) cx: &'a CommandContext,
    pub(super) state: Arc<SessionState>,
    pub(super) data: Arc<LoadedData>,
    /// The base model's own domain, if forgetting is measured.
    pub(super) domain: Option<Domain>,
    pub(super) grid: &'a Ablation,
    /// What the trials are scored by, in addition to loss and accuracy.
    pub(super) metrics: ComparedMetrics,
    pub(super) pruned: PrunedTrials,
}

/// What happens to trials that `%trial stop` has stopped early.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PrunedTrials {
    /// They stay as they are.
    Keep,
    /// They are trained to the end, because the same line was run again.
    Retrain,
}

impl GridRunner<'_> {
    /// Number of training runs: configurations times seeds.
    pub(super) fn training_runs(&self) -> u64 {
        self.grid.trials.len() as u64 * self.grid.seeds()
    }

    /// Identifies the result of one run by everything that decides it. Other metrics score the same
    /// weights.
    pub(super) fn key(&self, trial: &Trial, seed: u64) -> String {
        format!("{}{}", self.run_key(trial, seed), self.metrics.key())
    }

    /// Identifies one run by everything that decides its weights.
    pub(super) fn run_key(&self, trial: &Trial, seed: u64) -> String {
        let model =
            self.state.model.as_ref().map(|model| {
                (model.loaded.content_hash.clone(), kept_as(model.loaded.model.as_ref()))
            });
        let asked = ["split", "examples"]
            .map(|name| self.grid.settings.get(ABLATE, name).map(|value| value.to_string()));
        let (data, version) = (&self.data, env!("CARGO_PKG_VERSION"));
        let domain = self.domain.as_ref().map_or_else(String::new, |domain| {
            format!(" {:x} {}", domain.data.dataset.fingerprint(), domain.examples)
        });
        let seeks = if self.grid.search_lr { " lr=auto" } else { "" };
        let halves = if self.grid.halves() { " early=halving" } else { "" };
        format!(
            "{model:?} {} {:x} {} {} {:?} {:?} {seed} {asked:?} {version}{domain}{seeks}{halves}",
            data.dataset.name,
            data.dataset.fingerprint(),
            graft_nn::device::describe(&self.state.device),
            trial.method,
            trial.settings.values,
            trial.train.values
        )
    }

    /// `trial 2 of 6: lora r=4, seed 0`.
    pub(super) fn label(&self, place: usize, trial: &Trial, seed: u64) -> String {
        let number = (seed - self.state.seed) * self.grid.trials.len() as u64 + place as u64 + 1;
        format!("trial {number} of {}: {}, seed {seed}", self.training_runs(), trial.label)
    }

    /// The learning rate that `lr=auto` finds with the first seed, for every seed of a
    /// configuration; `None` if the rate is given.
    pub(super) fn rate(
        &self,
        results: &TrialResults,
        trial: &Trial,
        seed: u64,
        label: &str,
    ) -> Result<Option<f64>, Failure> {
        match results.lr() {
            None if self.grid.search_lr => self.search(trial, seed, label).map(Some),
            found => Ok(found),
        }
    }

    /// Whether finished and partial runs are trained again.
    pub(super) fn is_fresh(&self) -> bool {
        self.grid.settings.bool(ABLATE, "fresh")
    }

    /// The seeds of every configuration.
    pub(super) fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.state.seed;
        (0..self.grid.seeds()).map(move |number| first + number)
    }

    /// Refuses a comparison while another kernel trains a part of it: both would write to the same
    /// runs.
    ///
    /// # Errors
    /// [`graft_train::TrainError::InUse`] with the run and the kernel that trains it.
    pub(super) fn refuse_if_in_use(&self) -> Result<(), Failure> {
        if self.is_fresh() {
            return Ok(());
        }
        let keys: BTreeSet<String> = self
            .seeds()
            .flat_map(|seed| self.grid.trials.iter().map(move |trial| self.run_key(trial, seed)))
            .collect();
        let is_ours = |folder: &RunFolder| {
            folder
                .header()
                .and_then(|header| header.trial)
                .is_some_and(|trial| keys.contains(&trial))
        };
        Ok(RunFolder::list(&runs::base())
            .iter()
            .filter(|folder| is_ours(folder))
            .try_for_each(|folder| folder.lock().map(drop))?)
    }
}
