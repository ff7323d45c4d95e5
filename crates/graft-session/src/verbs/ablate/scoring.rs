//! Scores the model on the data of a comparison.

use graft_chat::LossOn;
use graft_protocol::Event;
use graft_spec::{
    Failure,
    training::{ABLATE, TRAIN},
};
use graft_train::{
    EncodeOptions, Evaluation, Request,
    data::SplitName,
    loss_on,
    preference::{Objective, ReferenceModel},
};

use super::runner::GridRunner;
use crate::verbs::preference::{AdaptersOff, evaluate_with};

/// Examples in one forward pass.
const BATCH: usize = 16;

impl GridRunner<'_> {
    /// Scores the model as it is now on all `examples`.
    ///
    /// # Errors
    /// Those of [`evaluate_with`]; [`crate::SessionError::Interrupted`] when the user stopped it.
    pub(super) fn score(&self, who: &str) -> Result<Evaluation, Failure> {
        let examples = self
            .grid
            .settings
            .integer(ABLATE, "examples")
            .map_or(200, |count| count.unsigned_abs() as usize);
        let label = format!("scoring {who} on {}", self.data.dataset.name);
        let found = self.score_on(examples, &mut |done, total| {
            self.cx.emit(Event::Progress { label: label.clone(), done, total });
        });
        self.cx.check_interrupted(&format!("stopped while {label}"))?;
        found
    }

    /// Scores the model as it is now on the first `examples` of the split.
    ///
    /// # Errors
    /// Those of [`evaluate_with`].
    pub(super) fn score_on(
        &self,
        examples: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Evaluation, Failure> {
        let model = self.state.model()?;
        let split = self.grid.settings.text(ABLATE, "split").unwrap_or_default();
        let request = Request {
            split: SplitName::parse(&split).unwrap_or(SplitName::Validation),
            examples,
            batch: BATCH,
            encoding: EncodeOptions { loss_on: self.loss_on(), ..EncodeOptions::default() },
        };
        // Every trial is scored with the loss of the first one.
        let first = self.grid.trials.first();
        let objective = first.and_then(|trial| Objective::from_settings(&trial.train));
        let off = AdaptersOff(model.clone());
        let objective = (objective, Some(&off as &dyn ReferenceModel));
        let data = (&self.data.dataset, request);
        Ok(evaluate_with(&model, data, objective, &self.cx.control(), progress)?.0)
    }

    /// The text that is scored: the one that every trial learns, or else the default of the data.
    fn loss_on(&self) -> Option<LossOn> {
        let mut all =
            self.grid.trials.iter().map(|trial| loss_on(trial.train.text(TRAIN, "loss_on")));
        let first = all.next().flatten();
        first.filter(|first| all.all(|other| other == Some(*first)))
    }
}
